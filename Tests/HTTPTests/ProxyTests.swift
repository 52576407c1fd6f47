import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(3))) struct ProxyTests {
    @Test(arguments: [
        ("http://proxy:3128", "http://proxy:3128"), ("https://proxy", "https://proxy:443"),
        ("http://proxy/", "http://proxy:80"), ("socks5://10.0.0.1", "socks5://10.0.0.1:1080"),
        ("proxy:8080", "http://proxy:8080"), ("http://[::1]:1", "http://[::1]:1"),
        ("HTTP://me:s3cret@proxy:1", "http://proxy:1"),
    ])
    func `a proxy's address is printed without its user`(text: String, printed: String) {
        #expect(ProxyAddress(text)?.description == printed)
        #expect(ProxyAddress(text).map { "\(String(reflecting: $0))" }?.contains("s3cret") == false)
    }

    @Test(arguments: ["ftp://proxy", "", "http://", "http://proxy:x", "http://proxy/path", "http://a b", "socks4://p"])
    func `what is no proxy's address is none`(text: String) {
        #expect(ProxyAddress(text) == nil)
    }

    @Test func `a socks5 proxy resolves the names`() {
        #expect(ProxyAddress("socks5://me:pw@p:1")?.url.revealed == "socks5h://me:pw@p:1")
    }

    static let exceptions: [(noProxy: String, authority: String, isProxied: Bool)] = [
        ("", "api.example.com", true), ("", "localhost:6443", false), ("", "127.0.0.1", false), ("", "[::1]:1", false),
        ("*", "api.example.com", false), ("example.com", "example.com", false),
        ("example.com", "api.example.com", false),
        ("example.com", "badexample.com", true), (".example.com", "example.com", true),
        (".example.com", "api.example.com", false), ("*.example.com", "api.example.com", false),
        ("EXAMPLE.com", "Api.Example.Com:443", false), ("example.com:6443", "example.com:6443", false),
        ("example.com:6443", "example.com", true), ("example.com:443", "example.com", false),
        ("10.0.0.0/8", "10.1.2.3:6443", false), ("10.0.0.0/8", "11.1.2.3", true), ("10.0.0.1", "10.0.0.1:1", false),
        ("fd00::/8", "[fd00::1]:6443", false), ("fd00::/8", "[fe00::1]", true), ("10.0.0.0/8", "10.example.com", true),
        (" a.b , 192.168.1.128/25", "192.168.1.200", false), ("192.168.1.128/25", "192.168.1.1", true),
        ("nonsense/33, [fd00::2]:1", "[fd00::2]:1", false),
    ]

    @Test(arguments: exceptions)
    func `NO_PROXY is read as Go's clients read it`(noProxy: String, authority: String, isProxied: Bool) throws {
        let rules = try ProxyRules { ["HTTPS_PROXY": "http://proxy:1", "NO_PROXY": noProxy][$0] }
        #expect(rules.proxy(forAuthority: authority)?.description == (isProxied ? "http://proxy:1" : nil))
    }

    @Test func `the variables' names may be in lower case, and none means straight`() throws {
        let lower = try ProxyRules { ["https_proxy": "p:1", "no_proxy": "b"][$0] }
        #expect(lower.proxy(forAuthority: "a")?.description == "http://p:1")
        #expect(lower.proxy(forAuthority: "b") == nil)
        #expect(try ProxyRules { _ in nil }.proxy(forAuthority: "a") == nil)
        #expect(try ProxyRules { _ in "" }.proxy(forAuthority: "a") == nil)
    }

    @Test func `a proxy variable that is none is an error that does not repeat it`() throws {
        let message = "HTTPS_PROXY is not the address of a proxy: expected http://, https:// or socks5://HOST:PORT"
        #expect(throws: APIError(.invalid, operation: "starting the HTTP client", message: message)) {
            try ProxyRules { $0 == "HTTPS_PROXY" ? "gopher://me:s3cret@p" : nil }
        }
    }

    @Test func `the name for TLS is in the URL, the address in the connection, the server's in the Host header`() throws
    {
        let tls = CurlOptions.TLS(serverName: "cluster.internal")
        let route = try CurlRoute(CurlOptions(tls: tls))
        let url = HTTPURL(origin: "https://10.0.0.1:6443", path: "/a", query: [.init("b", "c")])
        #expect(
            route.target(of: url)
                == .init(
                    url: "https://cluster.internal:6443/a?b=c", host: "10.0.0.1:6443", connectTo: "::10.0.0.1:6443",
                    isEncrypted: true, proxy: nil))
        #expect(
            route.target(of: HTTPURL(origin: "https://[fd00::1]", path: "/"))
                == .init(
                    url: "https://cluster.internal/", host: "[fd00::1]", connectTo: "::[fd00::1]:443",
                    isEncrypted: true, proxy: nil))
    }

    @Test func `a proxy that wants a password is unavailable, and the one given stays unseen`() async throws {
        let proxy = try ProxyServer(.locked)
        let address = try #require(ProxyAddress("http://me:s3cret@127.0.0.1:\(proxy.port)"))
        let client = try CurlTransport(options: CurlOptions(proxy: .address(address)))
        let request = HTTPRequest(.get, HTTPURL(origin: "https://api.invalid", path: "/"), timeout: .seconds(60))
        let error = await failure { () async throws(APIError) in try await client.send(request) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("407") == true)
        #expect(error.map { "\($0)" }?.contains("s3cret") == false)
        // "me:s3cret" in base64.
        #expect(proxy.heads.first?.contains("Proxy-Authorization: Basic bWU6czNjcmV0\r\n") == true)
        await client.shutDown()
    }

    @Test func `a proxy that is not there is unavailable`() async throws {
        let server = try HTTPServer(handler: ClosureHandler { _ in HTTPReply(status: 200) })
        await server.stop(grace: .zero)
        let address = try #require(ProxyAddress("http://127.0.0.1:\(server.port)"))
        let client = try CurlTransport(options: CurlOptions(proxy: .address(address)))
        let request = HTTPRequest(.get, HTTPURL(origin: "https://api.invalid", path: "/"), timeout: .seconds(60))
        let error = await failure { () async throws(APIError) in try await client.send(request) }
        #expect(error?.code == .unavailable)
        await client.shutDown()
    }
}
