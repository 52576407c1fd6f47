import Encoding
import Operator

/// A plan for people and for programs.
enum PlanText {
    static func text(_ entry: PlanCommand.Entry) -> String {
        let plan = entry.plan
        var lines = ["\(entry.title): \(plan.summary ?? "")"]
        if !plan.candidates.isEmpty {
            lines.append("  candidates, in this order:")
            let rows = plan.candidates.enumerated().map { index, candidate in
                [
                    "\(index + 1).", candidate.name, candidate.zone ?? "",
                    "\(candidate.nodes ?? 1) × \(candidate.machineType ?? "")", candidate.provisioningModel ?? "",
                    candidate.hourlyCost.map { "$\($0)/h" } ?? "price unknown",
                    candidate.verdict == "Tried" ? "" : candidate.verdict ?? "",
                ]
            }
            lines += table(rows).map { "    \($0)" }
        }
        lines += list("would be created:", plan.objects)
        lines += list(plan.problems.count == 1 ? "problem:" : "problems:", plan.problems)
        lines += list("note:", entry.notes)
        return lines.joined(separator: "\n")
    }

    static func text(_ entry: PlanCommand.EndpointEntry) -> String {
        let plan = entry.plan
        var lines = ["\(entry.title): \(plan.summary ?? "")"]
        lines += list("would be created:", plan.objects)
        lines += list(plan.problems.count == 1 ? "problem:" : "problems:", plan.problems)
        lines += list("note:", entry.notes)
        return lines.joined(separator: "\n")
    }

    private static func list(_ title: String, _ items: [String]) -> [String] {
        items.isEmpty ? [] : ["  \(title)"] + items.map { "    \(Format.line($0, limit: 512))" }
    }

    /// Columns of equal width, two spaces between them.
    static func table(_ rows: [[String]]) -> [String] {
        let columnCount = rows.map(\.count).max() ?? 0
        let widths = (0..<columnCount).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                cell + String(repeating: " ", count: max(0, widths[column] - cell.count))
            }
            let line = cells.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
        }
    }

    /// One JSON object: `{"trainingJobs": [{"name", "namespace", "plan": {…as status.plan…}, "notes": [""]}]}`, and the
    /// same below `modelEndpoints` where there are any.
    static func json(_ plans: PlanCommand.Plans) throws(RunError) -> String {
        var jobs: [JSONValue] = []
        for entry in plans.jobs {
            jobs.append(try json(entry.title, entry.name, entry.namespace, entry.plan, entry.notes))
        }
        var result: JSONValue = ["trainingJobs": .array(jobs)]
        var endpoints: [JSONValue] = []
        for entry in plans.endpoints {
            endpoints.append(try json(entry.title, entry.name, entry.namespace, entry.plan, entry.notes))
        }
        if !endpoints.isEmpty { result["modelEndpoints"] = .array(endpoints) }
        return result.serializedText()
    }

    private static func json(
        _ title: String, _ name: String, _ namespace: String, _ plan: any Encodable, _ notes: [String]
    ) throws(RunError) -> JSONValue {
        do throws(JSONError) {
            return [
                "name": .string(name), "namespace": .string(namespace), "plan": try JSONValue(encoding: plan),
                "notes": .array(notes.map { .string($0) }),
            ]
        } catch {
            throw RunError(.software, "\(title): \(error.description)")
        }
    }
}
