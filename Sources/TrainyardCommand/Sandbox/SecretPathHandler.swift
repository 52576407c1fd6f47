import HTTP

/// Serves a world below a secret path too: `/<secret>/api/…` is `/api/…` with the bearer token `<secret>`.
///
/// kubectl sends no credentials over plain http (client-go reads them only for https), and the sandbox has no
/// certificates. A path that only the kubeconfig's reader knows does what the token would.
struct SecretPathHandler: HTTPHandler {
    let world: any HTTPHandler
    let secret: String

    func respond(to request: HTTPRequest) async -> HTTPReply {
        let prefix = "/" + secret
        guard request.url.path.hasPrefix(prefix + "/") else { return await world.respond(to: request) }
        var inner = request
        inner.url.path = String(request.url.path.dropFirst(prefix.count))
        inner.headers["Authorization"] = "Bearer \(secret)"
        return await world.respond(to: inner)
    }
}
