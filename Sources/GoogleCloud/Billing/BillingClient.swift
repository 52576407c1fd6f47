public import HTTP

/// List prices: cloudbilling v1 at `https://cloudbilling.googleapis.com/`.
public struct BillingClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ path: [PathPart], query: [HTTPURL.QueryItem] = []
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "cloudbilling.\(operation)", .get, origin: "https://cloudbilling.googleapis.com", path: ["v1"] + path,
            query: query)
    }

    /// The services of the catalogue. Maps to `GET v1/services`.
    public func services() async throws(APIError) -> Listing<CatalogService> {
        try await client.list(call("services.list", ["services"], query: [.init("pageSize", "5000")]), "services")
    }

    /// Everything that a service sells, with its price. Many pages for the large ones (Compute Engine).
    /// Maps to `GET v1/services/ID/skus?currencyCode=USD`.
    ///
    /// - Parameters:
    ///   - service: `6F81-5844-456A` is Compute Engine.
    ///   - currency: an ISO 4217 code.
    public func skus(of service: String, currency: String = "USD") async throws(APIError) -> Listing<SKU> {
        try await client.list(
            call(
                "services.skus.list", ["services", .checked(.catalogService, service), "skus"],
                query: [.init("currencyCode", currency), .init("pageSize", "5000")]), "skus", limit: 200_000)
    }

    /// Whether the project pays. Maps to `GET v1/projects/P/billingInfo`.
    public func billingInfo(project: String) async throws(APIError) -> ProjectBillingInfo {
        try await client.value(
            call("projects.getBillingInfo", ["projects", .checked(.project, project), "billingInfo"]))
    }
}
