import Encoding
import HTTP
import Kubernetes
import System

/// A cluster as the user's kubectl sees it.
struct ClusterAccess: Sendable {
    let kubernetes: KubernetesClient
    let namespace: String
    /// Where it is, for messages.
    let origin: String

    init(kubernetes: KubernetesClient, namespace: String, origin: String) {
        self.kubernetes = kubernetes
        self.namespace = namespace
        self.origin = origin
    }

    /// Finds it as kubectl does.
    ///
    /// - Throws: `.missingInput` when there is no kubeconfig, `.badData` when it cannot be used.
    init(_ options: ClusterOptions) throws(RunError) {
        let connection = try Self.connection(options)
        kubernetes = try Self.client(connection)
        namespace = options.namespace ?? connection.namespace ?? "default"
        origin = connection.server.origin
    }

    private static func connection(_ options: ClusterOptions) throws(RunError) -> ClusterConnection {
        do throws(ConfigurationError) {
            return try ClusterConnection.find(
                kubeconfig: options.kubeconfig, context: options.context, environment: ProcessEnvironment.variables)
        } catch {
            throw RunError(error.code == .missing ? .missingInput : .badData, error.message)
        }
    }

    private static func client(_ connection: ClusterConnection) throws(RunError) -> KubernetesClient {
        do throws(APIError) {
            return try connection.client(userAgent: "trainyard/\(Version.text)")
        } catch {
            throw RunError(.unavailable, error.description)
        }
    }

    /// What an error of the API server is to the command's caller.
    static func failure(_ error: APIError) -> RunError {
        switch error.code {
        case .notFound: RunError(.missingInput, error.message)
        case .forbidden, .unauthorized: RunError(.failed, error.message)
        case .unavailable, .timeout: RunError(.unavailable, error.description)
        default: RunError(.failed, error.description)
        }
    }
}
