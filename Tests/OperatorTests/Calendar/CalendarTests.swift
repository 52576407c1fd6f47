import Encoding
import System
import Testing

@testable import Operator

/// Days and clocks, by rules alone and by files of the system.
@Suite struct CalendarTests {
    private func moment(_ text: String) throws -> Timestamp { try #require(Timestamp(text)) }

    /// Seconds of a time on a clock.
    private func local(_ text: String) throws -> Int64 { try moment("\(text)Z").seconds }

    @Test func `a day is the same after the way there and back`() throws {
        for days in stride(from: Int64(-800_000), through: 800_000, by: 97) {
            #expect(CivilDate(days: days).days == days)
        }
        #expect(
            CivilDate(containing: try moment("2026-11-22T23:59:59Z").seconds) == .init(year: 2026, month: 11, day: 22))
        #expect(CivilDate(containing: -1) == .init(year: 1969, month: 12, day: 31))
        #expect(CivilDate(year: 2026, month: 11, day: 22).weekday == 0)
        #expect(CivilDate(year: 2026, month: 13, day: 1).days == CivilDate(year: 2027, month: 1, day: 1).days)
    }

    /// Offsets in hours at moments of 2026, and what becomes of times that are skipped or come twice.
    struct Zone: Sendable {
        var name: String
        var rule: String
        var offsets: [(String, Double)]
        var moments: [(String, String)]
    }

    static let zones = [
        Zone(
            name: "Europe/Berlin", rule: "CET-1CEST,M3.5.0,M10.5.0/3",
            offsets: [
                ("2026-03-29T00:59:59Z", 1), ("2026-03-29T01:00:00Z", 2), ("2026-10-25T00:59:59Z", 2),
                ("2026-10-25T01:00:00Z", 1),
            ],
            moments: [
                ("2026-03-29T02:30:00", "2026-03-29T01:00:00Z"), ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
                ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"), ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
                ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
            ]),
        Zone(
            name: "America/New_York", rule: "EST5EDT,M3.2.0,M11.1.0",
            offsets: [
                ("2026-03-08T06:59:59Z", -5), ("2026-03-08T07:00:00Z", -4), ("2026-11-01T05:59:59Z", -4),
                ("2026-11-01T06:00:00Z", -5),
            ],
            moments: [
                ("2026-03-08T02:15:00", "2026-03-08T07:00:00Z"), ("2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),
            ]),
        Zone(
            name: "Australia/Sydney", rule: "AEST-10AEDT,M10.1.0,M4.1.0/3",
            offsets: [
                ("2026-01-15T00:00:00Z", 11), ("2026-04-04T15:59:59Z", 11), ("2026-04-04T16:00:00Z", 10),
                ("2026-10-03T16:00:00Z", 11),
            ], moments: [("2026-10-04T02:00:00", "2026-10-03T16:00:00Z")]),
        Zone(
            name: "Asia/Kolkata", rule: "IST-5:30", offsets: [("2026-06-01T00:00:00Z", 5.5)],
            moments: [("2026-06-01T00:00:00", "2026-05-31T18:30:00Z")]),
        Zone(
            name: "Etc/UTC", rule: "UTC0", offsets: [("2026-06-01T00:00:00Z", 0)],
            moments: [("2026-06-01T00:00:00", "2026-06-01T00:00:00Z")]),
    ]

    @Test(arguments: zones) func `clocks are put forward and back when the zone says`(zone: Zone) throws {
        var rules = [try #require(ZoneRules(rule: zone.rule))]
        // The same by the system's file, where it has one.
        if let file = ZoneFile.bytes(zone.name) { rules.append(try #require(ZoneRules(file: file), "\(zone.name)")) }
        for rule in rules {
            for (text, hours) in zone.offsets {
                #expect(rule.offset(at: try moment(text).seconds) == Int64(hours * 3600), "\(zone.name) \(text)")
            }
            for (text, expected) in zone.moments {
                #expect(rule.moment(local: try local(text)) == (try moment(expected)), "\(zone.name) \(text)")
            }
        }
    }

    @Test(arguments: [
        "", "CE-1", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3x",
    ])
    func `a rule that is none is refused`(text: String) { #expect(ZoneRules(rule: text) == nil) }

    @Test func `other forms of rules`() throws {
        let julian = try #require(ZoneRules(rule: "<-03>3<-02>,J60/0,300/-1:30"))
        #expect(julian.offset(at: try moment("2024-02-29T12:00:00Z").seconds) == -3 * 3600)
        #expect(julian.offset(at: try moment("2024-03-01T03:00:00Z").seconds) == -2 * 3600)
        // Day 300 from 0 is the 27th of October of a leap year; half past one before it began.
        #expect(julian.offset(at: try moment("2024-10-27T00:29:59Z").seconds) == -2 * 3600)
        #expect(julian.offset(at: try moment("2024-10-27T00:30:00Z").seconds) == -3 * 3600)
    }

    // MARK: Files

    private func number(_ value: Int64, width: Int) -> [UInt8] {
        (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> Int64($0 * 8)) }
    }

    private func block(version: UInt8, times: [Int64], kinds: [UInt8], offsets: [Int64], width: Int) -> [UInt8] {
        var bytes = Array("TZif".utf8) + [version] + [UInt8](repeating: 0, count: 15)
        for count in [0, 0, 0, times.count, offsets.count, 4] { bytes += number(Int64(count), width: 4) }
        for time in times { bytes += number(time, width: width) }
        bytes += kinds
        for offset in offsets { bytes += number(offset, width: 4) + [0, 0] }
        return bytes + Array("LMT\0".utf8)
    }

    private func file(times: [Int64], kinds: [UInt8], offsets: [Int64], rule: String) -> [UInt8] {
        block(version: 0x32, times: [], kinds: [], offsets: [0], width: 4)
            + block(version: 0x32, times: times, kinds: kinds, offsets: offsets, width: 8) + Array("\n\(rule)\n".utf8)
    }

    @Test func `a file's transitions hold until its rule begins`() throws {
        let rules = try #require(
            ZoneRules(file: file(times: [-1000, 5000], kinds: [1, 2], offsets: [500, 3600, 7200], rule: "XXX-3")))
        #expect([-2000, -1001, -1000, 4999, 5000].map(rules.offset) == [500, 500, 3600, 3600, 10_800])
        let plain = try #require(ZoneRules(file: file(times: [10], kinds: [1], offsets: [0, 60], rule: "")))
        #expect([9, 10, 1_000_000].map(plain.offset) == [0, 60, 60])
    }

    @Test func `a file that is none, or is cut, is refused`() {
        let whole = file(times: [10], kinds: [1], offsets: [0, 60], rule: "XXX-3")
        for length in 0..<whole.count { #expect(ZoneRules(file: Array(whole[..<length])) == nil, "\(length) bytes") }
        #expect(ZoneRules(file: file(times: [10], kinds: [2], offsets: [0, 60], rule: "")) == nil)
        #expect(ZoneRules(file: file(times: [10, 10], kinds: [0, 0], offsets: [0], rule: "")) == nil)
        #expect(ZoneRules(file: file(times: [], kinds: [], offsets: [0], rule: "nonsense")) == nil)
    }

    @Test(arguments: ["", "/etc/passwd", "../zoneinfo/UTC", "Europe//Berlin", "Europe", "Mars/Olympus"])
    func `no file but a zone's is read`(name: String) { #expect(ZoneFile.bytes(name) == nil) }
}

/// When something begins.
@Suite struct CronScheduleTests {
    private func moment(_ text: String) throws -> Timestamp { try #require(Timestamp(text)) }

    /// The next three starts.
    private func starts(_ schedule: String, after text: String, rule: String = "UTC0") throws -> [String] {
        let zone = try #require(ZoneRules(rule: rule))
        let schedule = try CronSchedule(schedule)
        var now = try moment(text)
        return try (0..<3).map { _ in
            now = try #require(schedule.nextStart(after: now, in: zone))
            return now.description
        }
    }

    private static let berlin = "CET-1CEST,M3.5.0,M10.5.0/3"

    @Test func `minutes, hours, days and months`() throws {
        #expect(
            try starts("*/20 8-9 * * *", after: "2026-11-22T08:30:00Z") == [
                "2026-11-22T08:40:00Z", "2026-11-22T09:00:00Z", "2026-11-22T09:20:00Z",
            ])
        #expect(
            try starts("30 7 * * mon-fri", after: "2026-11-20T07:30:00Z") == [
                "2026-11-23T07:30:00Z", "2026-11-24T07:30:00Z", "2026-11-25T07:30:00Z",
            ])
        #expect(
            try starts("0 0 29 feb *", after: "2026-01-01T00:00:00Z") == [
                "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z",
            ])
        // Both days restricted: either.
        #expect(
            try starts("0 12 13 * 5", after: "2026-11-12T12:00:00Z") == [
                "2026-11-13T12:00:00Z", "2026-11-20T12:00:00Z", "2026-11-27T12:00:00Z",
            ])
        #expect(try starts("5/25 0 1 1,7 7", after: "2026-06-30T00:00:00Z").first == "2026-07-01T00:05:00Z")
    }

    @Test func `local time follows the clocks`() throws {
        #expect(
            try starts("30 2 * * *", after: "2026-03-28T00:00:00Z", rule: Self.berlin) == [
                "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
            ])
        #expect(
            try starts("30 2 * * *", after: "2026-10-24T00:00:00Z", rule: Self.berlin) == [
                "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
            ])
    }

    @Test func `what began lately is found, and what is over is not`() throws {
        let schedule = try CronSchedule("0 22 * * *")
        let zone = try #require(ZoneRules(rule: Self.berlin))
        func start(_ now: String, _ hours: Int) throws -> String? {
            schedule.lastStart(until: try moment(now), within: .seconds(hours * 3600), in: zone)?.description
        }
        #expect(try start("2026-11-22T04:59:59Z", 8) == "2026-11-21T21:00:00Z")
        #expect(try start("2026-11-22T05:00:00Z", 8) == nil)
        #expect(try start("2026-11-22T21:00:00Z", 1) == "2026-11-22T21:00:00Z")
        // In the longer night: as many seconds as ever.
        #expect(try start("2026-10-25T03:59:59Z", 8) == "2026-10-24T20:00:00Z")
        #expect(try start("2026-10-25T04:00:00Z", 8) == nil)
    }

    @Test func `every start is the last one of the moment at which it begins`() throws {
        let zone = try #require(ZoneRules(rule: Self.berlin))
        for text in ["*/7 1-3 * * *", "0 0 31 * *", "59 23 * 2 6"] {
            let schedule = try CronSchedule(text)
            var now = try moment("2026-03-27T00:00:00Z")
            for _ in 0..<200 {
                guard let next = schedule.nextStart(after: now, in: zone) else { break }
                #expect(schedule.lastStart(until: next, within: .seconds(60), in: zone) == next)
                #expect(next > now)
                now = next
            }
        }
    }

    @Test(arguments: [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
        "1- * * * *", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "1/2/3 * * * *", "-1 * * * *", "* * * foo *",
    ])
    func `a schedule that is none is refused`(text: String) {
        #expect(throws: CronSchedule.Problem.self) { try CronSchedule(text) }
    }

    @Test func `a day that never comes has no start`() throws {
        #expect(try CronSchedule("0 0 30 2 *").nextStart(after: try moment("2026-01-01T00:00:00Z"), in: .utc) == nil)
    }
}
