import Encoding

/// An installation's own prices: before the list's, for what it pays another price for, or what the list does not have.
///
/// A JSON file: `{"date": "2026-11-01", "prices": [{"machineType": "g2-standard-8", "region": "us-central1",
/// "provisioningModel": "Spot", "hourlyCost": "0.31"}]}`. Each price names either a `machineType` (hourlyCost is that of
/// the whole machine with its accelerators) or an `accelerator` (hourlyCost is that of one of them with its share of the
/// machine); `region` and `provisioningModel` may be left out and then stand for all. The most exact entry counts: a machine
/// type before an accelerator, with a region before without.
public struct PriceOverrides: Sendable, Hashable {
    /// The day that they are from, e.g. "2026-11-01".
    public let date: String
    private let entries: [Entry]

    private struct Entry: Sendable, Hashable {
        var machineType: String?
        var accelerator: String?
        var region: String?
        var model: ProvisioningModel?
        var hourly: Money

        /// More exact entries have a higher one.
        var rank: Int { (machineType == nil ? 0 : 4) + (region == nil ? 0 : 2) + (model == nil ? 0 : 1) }
    }

    /// What is wrong with a file: a sentence that names the place.
    public struct FormatError: Error, Sendable, Equatable {
        public var message: String
    }

    /// Reads the file's text.
    ///
    /// - Throws: `FormatError` for what is not JSON, not of this form, or has fields that nobody knows.
    public init(json text: String) throws(FormatError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: text)
        } catch {
            throw FormatError(message: "is not JSON: \(error.description)")
        }
        guard let members = value.objectValue else { throw FormatError(message: "must be a JSON object") }
        try PriceOverrides.refuseUnknown(members, ["date", "prices"], in: "the file")
        guard let date = members["date"]?.stringValue, PriceOverrides.isDay(date) else {
            throw FormatError(message: "date must be the day of the prices, as \"2026-11-01\"")
        }
        guard let prices = members["prices"]?.arrayValue, prices.count <= 10_000 else {
            throw FormatError(message: "prices must be a list of at most 10,000 entries")
        }
        self.date = date
        var entries: [Entry] = []
        for (index, price) in prices.enumerated() {
            entries.append(try PriceOverrides.entry(price, "prices[\(index)]"))
        }
        self.entries = entries
    }

    private static func entry(_ value: JSONValue, _ place: String) throws(FormatError) -> Entry {
        guard let members = value.objectValue else { throw FormatError(message: "\(place) must be an object") }
        let names: Set = ["machineType", "accelerator", "region", "provisioningModel", "hourlyCost"]
        try refuseUnknown(members, names, in: place)
        for (name, member) in members where member.stringValue?.isEmpty ?? true {
            throw FormatError(message: "\(place).\(name) must be a string, in quotes")
        }
        func text(_ name: String) -> String? { members[name]?.stringValue }
        guard (text("machineType") == nil) != (text("accelerator") == nil) else {
            throw FormatError(message: "\(place) must name either a machineType or an accelerator")
        }
        let models = ProvisioningModel.allCases.map(\.rawValue)
        if let model = text("provisioningModel"), !models.contains(model) {
            throw FormatError(message: "\(place).provisioningModel must be one of \(models.joined(separator: ", "))")
        }
        guard let hourly = text("hourlyCost").flatMap({ Money(decimal: $0) }), hourly > .zero else {
            throw FormatError(message: "\(place).hourlyCost must be a decimal above 0 in US dollars, as \"0.31\"")
        }
        return Entry(
            machineType: text("machineType"), accelerator: text("accelerator"), region: text("region"),
            model: text("provisioningModel").flatMap(ProvisioningModel.init), hourly: hourly)
    }

    private static func refuseUnknown(
        _ members: [String: JSONValue], _ known: Set<String>, in place: String
    ) throws(FormatError) {
        guard let name = members.keys.filter({ !known.contains($0) }).min() else { return }
        throw FormatError(message: "\(place) has no field \(name); it has \(known.sorted().joined(separator: ", "))")
    }

    private static func isDay(_ text: String) -> Bool {
        text.utf8.count == 10 && Timestamp("\(text)T00:00:00Z") != nil
    }

    /// Own price of one machine with its accelerators; nil where there is none.
    func hourlyPrice(
        machineType: String, accelerator: String, count: Int, model: ProvisioningModel, region: String
    ) -> Money? {
        let fitting = entries.filter { entry in
            (entry.machineType == machineType || entry.machineType == nil && entry.accelerator == accelerator)
                && (entry.region ?? region) == region && (entry.model ?? model) == model
        }
        // Of equals the last one, as in any list that is appended to.
        guard let rank = fitting.map(\.rank).max(), let best = fitting.last(where: { $0.rank == rank }) else {
            return nil
        }
        return best.machineType == nil ? best.hourly * count : best.hourly
    }
}
