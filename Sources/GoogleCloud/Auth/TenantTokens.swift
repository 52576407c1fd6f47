public import HTTP

/// Tokens by whom a call is made for (`CallOwner`): a tenant's own service account where it has one, else the operator's
/// own identity.
public struct TenantTokens: TokenSource {
    private let own: any TokenSource
    private let accounts: ImpersonatedTokens
    private let account: @Sendable (_ owner: String) async throws(APIError) -> ImpersonatedAccount?

    /// - Parameters:
    ///   - own: for owners without an account, and for calls without an owner.
    ///   - accounts: keeps the tenants' tokens by account and scopes.
    ///   - account: an owner's account; nil where it has none. What it throws, the call throws.
    public init(
        own: any TokenSource, accounts: ImpersonatedTokens,
        account: @escaping @Sendable (_ owner: String) async throws(APIError) -> ImpersonatedAccount?
    ) {
        self.own = own
        self.accounts = accounts
        self.account = account
    }

    public func token() async throws(APIError) -> AccessToken? { try await source().token() }

    public func discard(_ token: AccessToken) async {
        // Whose token it is cannot be told any more: then it is renewed when it is old.
        guard let source = try? await source() else { return }
        await source.discard(token)
    }

    private func source() async throws(APIError) -> any TokenSource {
        let owner = CallOwner.current
        guard !owner.isEmpty, let account = try await account(owner) else { return own }
        return accounts.tokens(for: account)
    }
}
