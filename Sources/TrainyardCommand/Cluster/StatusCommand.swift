import Encoding
import HTTP
import Kubernetes
import Operator
import Telemetry

/// `trainyard status KIND NAME`: one screen for one object.
struct StatusCommand: Sendable {
    let options: StatusOptions
    let console: Console
    let complaints: Console

    func run() async -> Int32 {
        do throws(RunError) {
            let access = try ClusterAccess(options.cluster)
            console.line(try await Self.text(options, access, now: SystemClock().now))
            return 0
        } catch {
            complaints.line("trainyard: \(error.message)")
            return error.exitStatus
        }
    }

    static func text(_ options: StatusOptions, _ access: ClusterAccess, now: Timestamp) async throws(RunError) -> String
    {
        let object: JSONValue
        do throws(APIError) {
            object = try await access.kubernetes.get(options.kind, namespace: access.namespace, name: options.name)
        } catch {
            throw ClusterAccess.failure(error)
        }
        return StatusText(object, events: await events(of: object, access), now: now).text
    }

    /// None where they may not be read: the object says what matters.
    private static func events(of object: JSONValue, _ access: ClusterAccess) async -> [JSONValue] {
        let uid = object.value(at: ["metadata", "uid"])?.stringValue ?? ""
        let selection = ObjectSelection(namespace: access.namespace, fieldSelector: "regarding.uid=\(uid)")
        do throws(APIError) {
            return try await access.kubernetes.list(EventObject.resourceType, selection).items
        } catch {
            return []
        }
    }
}

/// `trainyard logs NAME`: the last lines of each pod of a TrainingJob's current run.
struct LogsCommand: Sendable {
    let options: LogsOptions
    let console: Console
    let complaints: Console

    func run() async -> Int32 {
        do throws(RunError) {
            let access = try ClusterAccess(options.cluster)
            for line in try await Self.lines(options, access) { console.line(line) }
            return 0
        } catch {
            complaints.line("trainyard: \(error.message)")
            return error.exitStatus
        }
    }

    static func lines(_ options: LogsOptions, _ access: ClusterAccess) async throws(RunError) -> [String] {
        do throws(APIError) {
            let job = try await access.kubernetes.get(
                TrainingJob.resourceType, namespace: access.namespace, name: options.name)
            let selector = [
                "\(Ownership.jobLabel)=\(options.name)",
                job.value(at: ["status", "run", "id"])?.stringValue.map { "\(Ownership.runLabel)=\($0)" },
            ].compactMap { $0 }.joined(separator: ",")
            let pods = try await access.kubernetes.list(
                Pod.resourceType, ObjectSelection(namespace: access.namespace, labelSelector: selector)
            ).items.compactMap { $0.value(at: ["metadata", "name"])?.stringValue }.sorted()
            var lines: [String] = []
            for pod in pods { lines += try await Self.lines(of: pod, isOnly: pods.count == 1, options, access) }
            guard pods.isEmpty else { return lines }
            let failure = Facts(job).text("status", "lastFailure", "logURL").map { "; the last one's log: \($0)" } ?? ""
            return ["there is no pod of the current run\(failure)"]
        } catch {
            throw ClusterAccess.failure(error)
        }
    }

    private static func lines(
        of pod: String, isOnly: Bool, _ options: LogsOptions, _ access: ClusterAccess
    ) async throws(APIError) -> [String] {
        do throws(APIError) {
            let text = try await access.kubernetes.log(
                ofPod: pod, namespace: access.namespace, container: "trainer", lineCount: options.lineCount)
            // A log is anybody's text: nothing in it steers the terminal.
            return text.split(separator: "\n").map { Format.line((isOnly ? "" : "\(pod): ") + $0, limit: 4000) }
        } catch  where error.code == .invalid {
            return ["\(pod): \(error.message)"]
        }
    }
}
