import Encoding

/// The facts of each kind, in the order in which they are told.
extension StatusText {
    var trainingJob: [(String, String?)] {
        [
            (
                "run",
                object.text("status", "run", "id").map { id in
                    [
                        id, object.text("status", "run", "result"),
                        object.number("status", "restarts").flatMap {
                            $0 > 0 ? "\($0) restarts" : nil
                        },
                    ].compactMap { $0 }.joined(separator: ", ")
                }
            ),
            ("plan", object.text("status", "plan", "summary")),
            ("problems", texts(object.facts("status", "plan").value["problems"])),
            ("queue", object.text("status", "queue", "clusterQueue")),
            ("progress", progress),
            ("machines", machines),
            (
                "search",
                object.list("status", "capacity", "attempts").suffix(4).map { attempt in
                    let count = attempt.number("count").flatMap { $0 > 1 ? " ×\($0)" : nil } ?? ""
                    return "\(attempt.text("candidate") ?? "") \(attempt.text("zone") ?? "") "
                        + "\(attempt.text("result") ?? "")\(count)"
                }.joined(separator: "; ")
            ),
            ("cost", cost),
            ("at risk", atRisk),
            ("outputs", outputs),
            ("in the cloud", resources),
            ("failure", failure),
            ("log", object.text("status", "lastFailure", "logURL")),
        ]
    }

    private var progress: String? {
        let metrics = object.list("status", "trainerStatus", "metrics").prefix(3).compactMap { metric in
            metric.text("name").map { "\($0) \(metric.text("value") ?? "?")" }
        }
        let parts =
            [
                object.text("status", "trainerStatus", "progress"),
                object.text("status", "trainerStatus", "eta").map { "\($0) left" },
                object.text("status", "trainerStatus", "rate"),
            ].compactMap { $0 } + metrics
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private var machines: String? {
        guard let summary = object.text("status", "capacity", "summary") else { return nil }
        let nodes = object.facts("status", "nodes")
        return "\(summary); \(nodes.number("ready") ?? 0) of \(nodes.number("desired") ?? 0) nodes ready"
    }

    private var cost: String? {
        let cost = object.facts("status", "cost")
        let parts = [
            cost.text("display").map { "\($0) so far" }, cost.text("hourlyRate").map { "\($0) an hour now" },
            cost.text("projected").map { "\($0) in the end" },
        ].compactMap { $0 }
        guard !parts.isEmpty else { return nil }
        return parts.joined(separator: ", ") + (cost.text("basis").map { " (\($0))" } ?? "")
    }

    private var atRisk: String? {
        guard let seconds = object.number("status", "checkpoint", "exposureSeconds"), seconds > 0 else { return nil }
        let step = object.number("status", "checkpoint", "latest", "step").map { "step \($0)" } ?? "the start"
        let money = object.text("status", "checkpoint", "exposureCost").map { ", \($0)" } ?? ""
        return "\(Format.span(seconds: seconds)) of work since \(step)\(money)"
    }

    private var outputs: String? {
        guard let count = object.number("status", "outputs", "count") else { return nil }
        let unverified = object.list("status", "outputs", "files").filter { $0.text("verified") == "false" }.prefix(3)
        let names = unverified.map { "\($0.text("path") ?? "") (\($0.text("reason") ?? "not verified"))" }
        let verified = "\(object.number("status", "outputs", "verifiedCount") ?? 0) of \(count) files verified"
        return ([verified] + names).joined(separator: "; ")
    }

    private var failure: String? {
        let failure = object.facts("status", "lastFailure")
        guard let reason = failure.text("reason") else { return nil }
        let place = failure.text("node").map { " on \($0)" } ?? ""
        let ago = failure.time("time").map { ", \(span(since: $0)) ago" } ?? ""
        let hint = failure.text("hint").map { ". \($0)" } ?? ""
        return "\(reason)\(place)\(ago): \(failure.text("message") ?? "")\(hint)"
    }

    /// What exists in the cloud because of the object, without the part of the names that all share.
    private var resources: String? {
        let found = object.list("status", "resources").map { resource in
            let name = resource.text("externalRef").map {
                String($0.split(separator: "/").suffix(2).joined(separator: "/"))
            }
            return "\(name ?? "?") \(resource.text("state") ?? "")"
        }
        let more = found.count > 4 ? ["and \(found.count - 4) more"] : []
        return (found.prefix(4) + more).joined(separator: "; ")
    }

    var artifact: [(String, String?)] {
        let latest = object.facts("status", "latestVersion")
        let storage = object.facts("status", "storage")
        return [
            ("place", object.text("status", "uri")),
            (
                "latest",
                latest.text("name").map { name in
                    "\(name) \(latest.text("verified") == "true" ? "(verified)" : "(not verified)"), made by "
                        + "\(latest.text("producer", "kind") ?? "?") \(latest.text("producer", "name") ?? "")"
                }
            ),
            (
                "aliases",
                object.list("status", "aliases").compactMap { alias in
                    alias.text("name").map { "\($0) → \(alias.text("version") ?? "?")" }
                }.joined(separator: ", ")
            ),
            ("versions", object.text("status", "versionCount")),
            (
                "copying",
                object.facts("status", "transfer").text("phase").map { phase in
                    let transfer = object.facts("status", "transfer")
                    return
                        "\(phase), \(transfer.number("objectsDone") ?? 0) of \(transfer.number("objectsTotal") ?? 0) objects"
                }
            ),
            ("holds", storage.text("size").map { "\($0) in \(storage.number("objectCount") ?? 0) objects" }),
            ("cost", storage.text("monthlyCost").map { "$\($0) a month by list price" }),
            ("drift", drift),
            ("deletion", object.text("status", "deletion", "waitsFor")),
            ("in the cloud", resources),
        ]
    }

    var endpoint: [(String, String?)] {
        let candidate = object.facts("status", "candidate")
        return [
            ("url", object.text("status", "url")),
            ("traffic", object.text("status", "traffic")),
            (
                "serves",
                object.text("status", "active", "modelVersion").map { version in
                    "\(version) as \(object.text("status", "active", "revision") ?? "?")"
                }
            ),
            (
                "candidate",
                candidate.text("modelVersion").map { version in
                    let tests = candidate.text("smokeTested") == "true" ? ", smoke tests passed" : ""
                    return "\(version) at \(candidate.number("weight") ?? 0) %\(tests)"
                }
            ),
            (
                "rejected",
                object.list("status", "rejectedModels").prefix(3).compactMap { model in
                    model.text("version").map { "\($0): \(model.text("reason") ?? "")" }
                }.joined(separator: "; ")
            ),
            (
                "smoke tests",
                object.list("status", "smokeTests").filter { $0.text("result") != "Passed" }.compactMap {
                    test in test.text("name").map { "\($0): \(test.text("message") ?? "")" }
                }.joined(separator: "; ")
            ),
            ("cost", object.text("status", "cost", "hourlyRate").map { "$\($0) an hour without requests" }),
            ("drift", drift),
            ("in the cloud", resources),
        ]
    }

    private var drift: String? {
        object.list("status", "drift").prefix(3).compactMap { entry in
            entry.text("path").map { "\($0) \(entry.text("action") ?? "")" }
        }.joined(separator: "; ")
    }

    private func texts(_ list: JSONValue?) -> String? {
        (list?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: "; ")
    }
}
