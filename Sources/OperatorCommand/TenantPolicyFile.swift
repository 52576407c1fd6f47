import Kubernetes
import Operator
import System

/// The file of `--tenant-policies`.
enum TenantPolicyFile {
    /// nil without a file: no namespace is limited.
    ///
    /// - Throws: `.unreadable` while the file is not there, `.invalid` with the place and what is wrong.
    static func policies(_ path: String?) throws(ConfigurationError) -> TenantPolicies? {
        guard let path else { return nil }
        let text = try text(path)
        do throws(TenantPolicies.FormatError) {
            return try TenantPolicies(json: text)
        } catch {
            throw ConfigurationError(.invalid, "--tenant-policies \(path): \(error.message)")
        }
    }

    private static func text(_ path: String) throws(ConfigurationError) -> String {
        do throws(SmallFile.ReadError) {
            return String(decoding: try SmallFile.bytes(path, limit: 4 << 20), as: UTF8.self)
        } catch {
            switch error {
            case .unreadable(let reason): throw ConfigurationError(.unreadable, "--tenant-policies \(path): \(reason)")
            case .notRegular: throw ConfigurationError(.invalid, "--tenant-policies \(path) is not a regular file")
            case .tooLarge(let limit):
                throw ConfigurationError(.invalid, "--tenant-policies \(path) has more than \(limit) bytes")
            }
        }
    }
}
