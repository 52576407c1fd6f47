import HTTP
import Kubernetes
public import Telemetry

/// Says what happened in log lines: info for a round that did something, debug for one that did not, warning when the
/// user must act.
public struct RuntimeLog: Sendable {
    private let log: Log

    public init(_ log: Log) { self.log = log }

    public func record(_ report: RuntimeReport) {
        switch report {
        case .listed(let type, let count):
            log.info("listed", [.resource: .string(type.name), .count: .integer(count)])
        case .watching(let type): log.debug("watching", [.resource: .string(type.name)])
        case .heard: return
        case .watchFailed(let type, let error):
            log.warning("watch failed", metadata(of: error, [.resource: .string(type.name)]))
        case .undecodable(let type, let key, let message):
            log.warning(
                "object cannot be read",
                [
                    .resource: .string(type.name), .object: .string(key.description), .errorMessage: .string(message),
                ])
        case .reconciled(let round): record(round)
        case .eventLost(let error): log.warning("event lost", metadata(of: error))
        case .eventsDropped(let why, let count):
            log.debug("events dropped", [.reason: .string(why.rawValue), .count: .integer(count)])
        case .leadershipGained(let identity): log.info("leading", [.identity: .string(identity)])
        case .leaseFailed(let error): log.warning("lease not renewed", metadata(of: error))
        case .leadershipLost(let identity): log.error("leadership lost", [.identity: .string(identity)])
        }
    }

    private func record(_ round: ReconcileReport) {
        var data: LogMetadata = [
            .controller: .string(round.controller), .object: .string(round.key.description),
            .duration: .milliseconds(round.duration), .step: .integer(round.stepCount),
        ]
        if let uid = round.uid { data[.uid] = .string(uid) }
        if let generation = round.generation { data[.generation] = .integer(Int(generation)) }
        switch round.outcome {
        case .failed(let error, _):
            data = metadata(of: error, data)
            switch error.code {
            case .cancelled, .conflict: log.debug("reconcile will be repeated", data)
            default:
                if ErrorOverlay.needsUser(error) {
                    log.warning("reconcile failed", data)
                } else {
                    log.info("reconcile failed, will be tried again", data)
                }
            }
        case .done, .settled, .again:
            if round.stepCount > 0 || round.wroteStatus {
                log.info("reconciled", data)
            } else {
                log.debug("reconciled, nothing to do", data)
            }
        }
    }

    private func metadata(of error: APIError, _ data: LogMetadata = [:]) -> LogMetadata {
        data.merging([.errorCode: .string(error.code.rawValue), .errorMessage: .string(error.description)]) { $1 }
    }
}
