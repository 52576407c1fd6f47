import Encoding

/// How many instances run also without requests: the spec's minimum, or that of a warm window that is open.
enum ModelEndpointWindows {
    typealias Observation = ModelEndpointObservation

    /// A window that is open now.
    struct Open: Sendable, Hashable {
        var window: ModelEndpoint.WarmWindow
        var end: Timestamp
    }

    /// The zone that needs no file.
    static let universal: Set<String> = ["Etc/UTC", "UTC"]

    private static func windows(_ observation: Observation) -> [ModelEndpoint.WarmWindow] {
        observation.spec.scaling.warmWindows ?? []
    }

    private static func rules(_ name: String, _ observation: Observation) -> ZoneRules? {
        universal.contains(name) ? .utc : observation.zones[name]
    }

    /// Names of the zones whose rules are needed.
    static func zoneNames(_ spec: ModelEndpoint.Spec) -> Set<String> {
        Set((spec.scaling.warmWindows ?? []).map(\.timeZone)).subtracting(universal)
    }

    static func open(_ observation: Observation) -> [Open] {
        windows(observation).compactMap { window in
            // What cannot be read is refused by `problem`.
            guard let schedule = try? CronSchedule(window.schedule),
                let zone = rules(window.timeZone, observation),
                let start = schedule.lastStart(
                    until: observation.now, within: .seconds(window.durationSeconds), in: zone)
            else { return nil }
            return Open(window: window, end: start + .seconds(window.durationSeconds))
        }
    }

    /// The open window that decides; nil where the spec's minimum does.
    static func deciding(_ observation: Observation) -> Open? {
        open(observation).filter { $0.window.minReplicas > observation.spec.scaling.minReplicas }
            .max { ($0.window.minReplicas, $0.end) < ($1.window.minReplicas, $1.end) }
    }

    static func minimum(_ observation: Observation) -> Int {
        let scaling = observation.spec.scaling
        let least = deciding(observation)?.window.minReplicas ?? scaling.minReplicas
        return min(least, scaling.maxReplicas)
    }

    /// When a window opens or closes next; nil without windows.
    static func nextChange(_ observation: Observation) -> Timestamp? {
        let open = open(observation)
        let closed = windows(observation).filter { window in !open.contains { $0.window == window } }
        let openings = closed.compactMap { window -> Timestamp? in
            guard let schedule = try? CronSchedule(window.schedule), let zone = rules(window.timeZone, observation)
            else { return nil }
            return schedule.nextStart(after: observation.now, in: zone)
        }
        return (openings + open.map(\.end)).min()
    }

    /// Why the windows cannot be kept; nil when they can.
    static func problem(_ observation: Observation) -> String? {
        let scaling = observation.spec.scaling
        for window in windows(observation) {
            guard window.minReplicas <= scaling.maxReplicas else {
                return "scaling.warmWindows: \(window.name) must not exceed maxReplicas"
            }
            let schedule: CronSchedule
            do throws(CronSchedule.Problem) {
                schedule = try CronSchedule(window.schedule)
            } catch {
                return "scaling.warmWindows: \(window.name): \(error.message)"
            }
            guard let zone = rules(window.timeZone, observation) else {
                return
                    "scaling.warmWindows: \(window.name): there is no time zone \(window.timeZone) where the operator "
                    + "runs; names are like Europe/Berlin"
            }
            guard schedule.nextStart(after: observation.now, in: zone) != nil else {
                return "scaling.warmWindows: \(window.name): \"\(window.schedule)\" never comes"
            }
        }
        return nil
    }
}
