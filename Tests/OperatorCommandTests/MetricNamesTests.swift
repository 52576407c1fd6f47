import Encoding
import Glibc
import HTTP
import System
import Telemetry
import Testing
import YAML

@testable import OperatorCommand

/// A dashboard or an alert that asks for what is not there shows nothing, and nobody notices.
@Suite(.timeLimit(.minutes(3))) struct MetricNamesTests {
    // Tests/OperatorCommandTests/MetricNamesTests.swift, three levels up.
    private static let files =
        #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined() + "/charts/trainyard/files"

    private static func text(_ name: String) throws -> String {
        String(decoding: try SmallFile.bytes("\(files)/\(name)", limit: 1 << 20), as: UTF8.self)
    }

    /// All queries of a document, by the member that holds them.
    private static func queries(_ value: JSONValue, _ key: String) -> [String] {
        switch value {
        case .object(let members):
            members.flatMap { name, member in
                if name == key, let text = member.stringValue { return [text] }
                return queries(member, key)
            }
        case .array(let items): items.flatMap { queries($0, key) }
        default: []
        }
    }

    /// Words of a query that are no functions, labels or words of the language.
    static func names(_ query: String) -> Set<String> {
        let bare = query.replacing(/\{[^}]*\}/, with: "").replacing(/\b(by|on|without) ?\([^)]*\)/, with: "")
        return Set(bare.matches(of: /[a-z]+(_[a-z0-9]+)+/).map { String($0.output.0) })
            .subtracting(["histogram_quantile"])
    }

    /// The series that the operator's page has, by name, and the labels that each may carry.
    private func page() async throws -> [String: String] {
        let process = try StartedOperator()
        try process.writeKubeconfig()
        process.start()
        _ = try await process.readiness(containing: "[+] start")
        var addresses: [String] = []
        for line in process.book.lines {
            if case .string(let text)? = line.metadata[.address] { addresses.append(text) }
        }
        let origin = try #require(addresses.first)
        let reply = try await process.client.send(HTTPRequest(.get, HTTPURL(origin: origin, path: "/metrics")))
        #expect(await process.end() == 0)
        var types: [String: String] = [:]
        for line in String(decoding: reply.body, as: UTF8.self).split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ")
            if words.count == 4 { types[String(words[2])] = String(words[3]) }
        }
        return types
    }

    @Test func `dashboards and alerts ask for metrics that the operator has`() async throws {
        let types = try await page()
        #expect(types.count > 30)
        let sources = [
            ("dashboards/grafana.json", "expr"), ("dashboards/cloud-monitoring.json", "prometheusQuery"),
            ("alerts.yaml", "expr"),
        ]
        var used: Set<String> = []
        for (file, key) in sources {
            let text = try Self.text(file)
            let document = try file.hasSuffix(".json") ? JSONValue(parsing: Array(text.utf8)) : YAML.document(text).json
            let queries = Self.queries(document, key)
            #expect(queries.count >= 5, "\(file)")
            for query in queries {
                let names = Self.names(query)
                #expect(!names.isEmpty, "\(query)")
                used.formUnion(names)
                for name in names {
                    let base = ["_bucket", "_sum", "_count"].compactMap { suffix in
                        name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil
                    }.first { types[$0] == "histogram" }
                    #expect(types[base ?? name] != nil, "\(file): there is no metric \(name)")
                    // A rate of what is no counter, or a counter without one, is nonsense.
                    let isRated = query.contains("rate(\(name)") || query.contains("increase(\(name)")
                    let isCounter = base != nil || types[name] == "counter"
                    #expect(isRated == isCounter, "\(file): \(query)")
                }
            }
        }
        #expect(used.count >= 20)
    }

    @Test func `what is told of money and leaks is on both dashboards`() throws {
        for (file, key) in [
            ("dashboards/grafana.json", "expr"), ("dashboards/cloud-monitoring.json", "prometheusQuery"),
        ] {
            let text = try Self.text(file)
            let queries = Self.queries(try JSONValue(parsing: Array(text.utf8)), key)
            let names = queries.reduce(into: Set<String>()) { $0.formUnion(Self.names($1)) }
            #expect(
                names.isSuperset(of: [
                    "trainyard_leaked_resources", "trainyard_leaked_hourly_cost_dollars",
                    "leader_election_master_status", "trainyard_google_breaker_open",
                ]), "\(file)")
        }
    }
}
