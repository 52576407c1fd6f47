import Encoding
import HTTP
import Testing

struct HeaderTests {
    static let now = Timestamp("2026-11-21T10:00:00Z") ?? Timestamp(seconds: 0)

    @Test(
        arguments: [
            ("5", nil, Duration.seconds(5)), ("0", nil, .zero), ("-3", nil, .zero), ("soon", nil, nil),
            ("1.5", nil, nil),
            ("99999999999999", nil, .seconds(365 * 86400)), ("99999999999999999999", nil, nil),
            ("Sat, 21 Nov 2026 10:01:30 GMT", nil, .seconds(90)), ("Sat, 21 Nov 2026 09:00:00 GMT", nil, .zero),
            ("Sat, 21 Nov 2026 10:01:30 GMT", "Sat, 21 Nov 2026 10:01:00 GMT", .seconds(30)),
            ("Sat, 21 Nov 2026 10:01:30 GMT", "yesterday", .seconds(90)),
            ("Saturday, 21-Nov-26 10:01:30 GMT", nil, nil),
            ("Sat, 31 Feb 2026 10:01:30 GMT", nil, nil), ("Sat, 21 Nov 2026 10:01:30 CET", nil, nil),
        ] as [(String, String?, Duration?)])
    func `Retry-After in seconds or as a date`(value: String, date: String?, expected: Duration?) {
        var headers: HTTPHeaders = ["retry-after": value]
        headers["Date"] = date
        #expect(headers.retryAfter(now: HeaderTests.now) == expected)
    }

    @Test func `no Retry-After is nil`() {
        #expect(HTTPHeaders().retryAfter(now: HeaderTests.now) == nil)
    }

    @Test func `a secret is stars in every text, and so are credentials in headers`() {
        let secret = Secret("canary")
        let headers: HTTPHeaders = [
            "Authorization": "Bearer canary", "proxy-authorization": "canary", "Cookie": "canary",
            "Set-Cookie": "canary",
            "X-Open": "seen",
        ]
        var request = HTTPRequest(.get, HTTPURL(origin: "https://a", path: "/"), headers: headers)
        request.identity = TLSIdentity(certificate: .bytes(Array("canary".utf8)), key: .bytes(Array("canary".utf8)))
        var texts = "\(secret) \(String(reflecting: secret)) \([secret]) \(Optional(secret) as Any)"
        dump(secret, to: &texts)
        texts += "\(headers) \(String(reflecting: headers)) \(request) \(String(reflecting: request))"
        dump(request, to: &texts)
        #expect(!texts.contains("canary"))
        // "canary" as a list of bytes.
        #expect(!texts.contains("99, 97, 110"))
        #expect(texts.contains("seen"))
        #expect(secret.revealed == "canary")
    }
}
