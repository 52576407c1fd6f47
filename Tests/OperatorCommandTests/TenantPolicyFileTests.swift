import Glibc
import Kubernetes
import Operator
import Testing

@testable import OperatorCommand

@Suite struct TenantPolicyFileTests {
    private static func file(_ text: String) throws -> String {
        var template = Array("/tmp/trainyard-policies-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let path = template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        let bytes = Array(text.utf8)
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        return path
    }

    @Test func `the flag names a file, and without it nobody is limited`() throws {
        guard case .run(let options) = try Options.parse(["--trainer-image", "i", "--tenant-policies=/p.json"]) else {
            Issue.record("no options")
            return
        }
        #expect(options.tenantPolicyFile == "/p.json")
        #expect(try TenantPolicyFile.policies(nil) == nil)
    }

    @Test func `a file is read, and one with a mistake is named with it`() throws {
        let good = try Self.file(#"{"policies": [{"name": "p", "namespaces": ["ml"]}]}"#)
        let wrong = try Self.file(#"{"policies": [{"name": "p"}]}"#)
        defer {
            unlink(good)
            unlink(wrong)
        }
        #expect(
            try TenantPolicyFile.policies(good)
                == TenantPolicies(json: #"{"policies": [{"name": "p", "namespaces": ["ml"]}]}"#))
        #expect(
            throws: ConfigurationError(
                .invalid, "--tenant-policies \(wrong): policies[0].namespaces must name at least one")
        ) { try TenantPolicyFile.policies(wrong) }
        let error = #expect(throws: ConfigurationError.self) { try TenantPolicyFile.policies("/no/such/file") }
        #expect(error?.code == .unreadable)
    }
}
