import FoundationEssentials
import Testing

@testable import Operator

/// The one table of all reasons, in `crds/trainingjobs.md`: what to do about each is the hint that `lastFailure` gives.
/// `RECORD=1` writes the hints into it.
@Suite struct ReasonTableTests {
    private static let path = "crds/trainingjobs.md"

    /// The cells of a row whose first cell could be a reason and whose second is a class.
    private static func cells(_ line: Substring) -> [String]? {
        let cells = line.split(separator: "|").map { cell in
            let start = cell.drop { $0 == " " }
            return start.lastIndex { $0 != " " }.map { String(start[...$0]) } ?? ""
        }
        guard (3...4).contains(cells.count), cells[0].allSatisfy({ $0.isLetter }), cells[0] != "Reason",
            cells[1] == "–" || FailureClass(rawValue: cells[1]) != nil
        else { return nil }
        return cells
    }

    @Test func `the kind's page explains every reason, and no other`() throws {
        let lines = try Repository.text(Self.path).split(separator: "\n", omittingEmptySubsequences: false)
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            let text = lines.map { Self.cells($0).map(Self.row) ?? String($0) }.joined(separator: "\n")
            try text.write(to: URL(filePath: "\(Repository.root)/\(Self.path)"), atomically: true, encoding: .utf8)
            return
        }
        let rows = lines.compactMap(Self.cells)
        #expect(
            rows.map { "\($0[0]) \($0[1])" }
                == Reason.allCases.map { "\($0.rawValue) \($0.failureClass?.rawValue ?? "–")" })
        for row in rows {
            #expect(row.count == 4 && row[2].count >= 10, "\(row[0]) is not explained")
            #expect(row.last == Self.advice(row[0]), "\(row[0]): RECORD=1 writes what the hint says")
        }
    }

    private static func row(_ cells: [String]) -> String {
        "| \(cells[0]) | \(cells[1]) | \(cells[2]) | \(advice(cells[0])) |"
    }

    private static func advice(_ reason: String) -> String { Reason(rawValue: reason)?.hint ?? "–" }
}
