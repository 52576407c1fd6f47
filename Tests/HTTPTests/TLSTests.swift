import HTTP
import Testing

@Suite(
    .enabled(if: TLSFixture.openssl != nil, "openssl is not installed"), .timeLimit(.minutes(3)), .serialized
) struct TLSTests {
    let fixture: TLSFixture

    init() throws { fixture = try TLSFixture() }

    private func trusting(
        _ authority: PEM?, identity: TLSIdentity? = nil, serverName: String? = nil, isInsecure: Bool = false
    ) -> CurlOptions {
        CurlOptions(
            tls: CurlOptions.TLS(
                authority: authority, identity: identity, serverName: serverName, insecureSkipVerify: isInsecure))
    }

    private func refusal(_ result: Result<String, APIError>) -> (code: APIError.Code, message: String)? {
        if case .failure(let error) = result { (error.code, error.message) } else { nil }
    }

    @Test func `a server of the right authority is trusted, from a file and from memory`() async throws {
        let server = try TLSServer(fixture)
        for authority in [fixture.file("authority.crt"), try fixture.bytes("authority.crt")] {
            #expect(try await server.answer(trusting(authority)) == .success("ok"))
        }
    }

    @Test func `another authority, and the system's, are not trusted`() async throws {
        let server = try TLSServer(fixture)
        for authority in [fixture.file("stranger.crt"), nil] {
            let refused = try #require(refusal(try await server.answer(trusting(authority))))
            #expect(refused.code == .insecure)
            #expect(refused.message == "SSL certificate problem: unable to get local issuer certificate")
        }
    }

    @Test func `a certificate that signed itself is not trusted`() async throws {
        let server = try TLSServer(fixture, certificate: "stranger")
        let refused = refusal(try await server.answer(trusting(fixture.file("authority.crt"))))
        #expect(refused?.code == .insecure)
        #expect(refused?.message == "SSL certificate problem: self-signed certificate")
    }

    @Test func `an expired certificate is not trusted`() async throws {
        let server = try TLSServer(fixture, certificate: "expired")
        let refused = refusal(try await server.answer(trusting(fixture.file("authority.crt"))))
        #expect(refused?.code == .insecure)
        #expect(refused?.message == "SSL certificate problem: certificate has expired")
    }

    @Test func `another host's certificate is refused, unless tls-server-name says that name`() async throws {
        let server = try TLSServer(fixture, certificate: "elsewhere")
        let authority = fixture.file("authority.crt")
        let refused = refusal(try await server.answer(trusting(authority)))
        #expect(refused?.code == .insecure)
        #expect(refused?.message.contains("127.0.0.1") == true)
        #expect(try await server.answer(trusting(authority, serverName: "cluster.internal")) == .success("ok"))
        #expect(
            refusal(try await server.answer(trusting(authority, serverName: "other.internal")))?.code == .insecure)
    }

    @Test func `everything is accepted when that is asked for by name, and only then`() async throws {
        for certificate in ["expired", "elsewhere", "stranger"] {
            let server = try TLSServer(fixture, certificate: certificate)
            #expect(try await server.answer(trusting(nil, isInsecure: true)) == .success("ok"))
        }
    }

    @Test func `a client certificate is shown where the server wants one`() async throws {
        let server = try TLSServer(
            fixture, certificate: "server", "-Verify", "1", "-verify_return_error", "-CAfile", "authority.crt")
        let authority = fixture.file("authority.crt")
        let client = fixture.identity("client")
        #expect(try await server.answer(trusting(authority, identity: client)) == .success("ok"))
        let inMemory = TLSIdentity(certificate: try fixture.bytes("client.crt"), key: try fixture.bytes("client.key"))
        #expect(try await server.answer(trusting(authority), identity: inMemory) == .success("ok"))
        // A request's own certificate comes before the connection's.
        let impostor = fixture.identity("impostor")
        #expect(try await server.answer(trusting(authority, identity: impostor), identity: client) == .success("ok"))
        for identity in [nil, impostor] {
            let refused = refusal(try await server.answer(trusting(authority, identity: identity)))
            #expect(refused?.code == .insecure)
        }
    }

    @Test func `one transport shows each request's own certificate`() async throws {
        let server = try TLSServer(
            fixture, certificate: "server", "-Verify", "1", "-verify_return_error", "-CAfile", "authority.crt")
        let client = try CurlTransport(options: trusting(fixture.file("authority.crt")))
        var request = server.request
        request.identity = fixture.identity("client")
        let reply = try await client.send(request)
        #expect(reply.status == 200)
        request.identity = fixture.identity("impostor")
        let refused = request
        let error = await failure { () async throws(APIError) in try await client.send(refused) }
        #expect(error?.code == .insecure, "\(String(describing: error))")
        await client.shutDown()
    }

    @Test func `a key that does not belong to its certificate is insecure, and not printed`() async throws {
        let server = try TLSServer(fixture)
        let mixed = TLSIdentity(certificate: try fixture.bytes("client.crt"), key: try fixture.bytes("impostor.key"))
        let refused = refusal(
            try await server.answer(trusting(fixture.file("authority.crt"), identity: mixed)))
        #expect(refused?.code == .insecure)
        #expect(refused?.message.contains("PRIVATE") == false)
        #expect("\(mixed)".contains("***") && !"\(mixed)".contains("PRIVATE"))
    }

    @Test func `an authority that is no certificate is insecure`() async throws {
        let server = try TLSServer(fixture)
        let refused = refusal(try await server.answer(trusting(.bytes(Array("nonsense".utf8)))))
        #expect(refused?.code == .insecure)
    }

    @Test func `TLS below 1 2 is refused`() async throws {
        let server = try TLSServer(fixture, certificate: "server", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        #expect(refusal(try await server.answer(trusting(fixture.file("authority.crt"))))?.code == .insecure)
        let newer = try TLSServer(fixture, certificate: "server", "-tls1_2")
        #expect(try await newer.answer(trusting(fixture.file("authority.crt"))) == .success("ok"))
    }

    @Test func `an https server is reached through an http proxy and a socks5 proxy`() async throws {
        let server = try TLSServer(fixture)
        for kind in [ProxyServer.Kind.http, .socks5] {
            let proxy = try ProxyServer(kind)
            var options = trusting(fixture.file("authority.crt"))
            options.proxy = .address(try #require(ProxyAddress("\(kind)://127.0.0.1:\(proxy.port)")))
            #expect(try await server.answer(options) == .success("ok"))
            #expect(proxy.targets == ["127.0.0.1:\(server.port)"])
        }
    }

    @Test func `through a proxy the name for TLS stays, and the address is the server's`() async throws {
        let server = try TLSServer(fixture, certificate: "elsewhere")
        let proxy = try ProxyServer(.http)
        var options = trusting(fixture.file("authority.crt"), serverName: "cluster.internal")
        options.proxy = .address(try #require(ProxyAddress("http://127.0.0.1:\(proxy.port)")))
        #expect(try await server.answer(options) == .success("ok"))
        #expect(proxy.targets == ["127.0.0.1:\(server.port)"])
    }
}
