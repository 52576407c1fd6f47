import Encoding
import GoogleCloud
import HTTP

/// What a candidate's answers are worth.
enum SmokeTests {
    typealias Test = ModelEndpoint.Rollout.SmokeTest
    typealias Result = ModelEndpoint.Status.SmokeResult

    static let passed = "Passed"
    static let failed = "Failed"

    /// Holds an answer against its test.
    static func result(_ test: Test, _ answer: RunInvoker.Answer, time: Timestamp) -> Result {
        let latency = Int((answer.latency / .milliseconds(1)).rounded(.up))
        let problem = problem(test, answer, latency: latency)
        return Result(
            name: test.name, result: problem == nil ? passed : failed, message: problem.map { String($0.prefix(250)) },
            latencyMilliseconds: latency, time: time)
    }

    /// There was no answer.
    static func result(_ test: Test, _ error: APIError, time: Timestamp) -> Result {
        Result(name: test.name, result: failed, message: String("no answer: \(error.message)".prefix(250)), time: time)
    }

    private static func problem(_ test: Test, _ answer: RunInvoker.Answer, latency: Int) -> String? {
        guard answer.status == test.expectStatus else {
            let text = String(decoding: answer.body.prefix(120), as: UTF8.self)
            return "HTTP \(answer.status) and not \(test.expectStatus): \(text)"
        }
        if let path = test.jsonPath {
            do throws(JSONPathError) {
                let parsed = try JSONPath(path)
                guard let document = try? JSONValue(parsing: answer.body) else {  // Whatever is wrong with it.
                    return "the answer is no JSON"
                }
                _ = try parsed.value(in: document)
            } catch {
                return error.message
            }
        }
        if let limit = test.maxLatencyMilliseconds, latency > limit { return "it took \(latency) ms, not \(limit)" }
        return nil
    }

    /// The first analysis that the candidate does not pass, as a sentence.
    static func finding(_ observation: ModelEndpointObservation) -> String? {
        for analysis in observation.rollout.analysis ?? [] {
            guard let bound = Double(analysis.value),
                let measured = observation.measurements.first(where: { $0.name == analysis.name }),
                measured.requestCount >= analysis.minRequests, let value = measured.value, !value.isNaN,
                !analysis.operator.holds(value, bound)
            else { continue }
            let shown = (value * 1000).rounded() / 1000
            return "\(analysis.name): \(analysis.metric.rawValue) is \(shown) over \(measured.requestCount) requests, "
                + "it must be \(analysis.operator.symbol) \(analysis.value)"
        }
        return nil
    }
}
