import Encoding
import Testing

struct TimestampTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0, 0), ("2000-02-29T12:00:00Z", 951_825_600, 0), ("1969-12-31T23:59:59Z", -1, 0),
            ("2100-03-01T00:00:00Z", 4_107_542_400, 0), ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0), ("2026-11-21T10:00:00.000001Z", 1_795_255_200, 1000),
            ("2026-11-21T10:00:00.123456789Z", 1_795_255_200, 123_456_789),
        ] as [(String, Int64, Int32)])
    func `a moment reads and writes`(_ text: String, seconds: Int64, nanoseconds: Int32) {
        let moment = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(Timestamp(text) == moment)
        #expect(moment.description == text)
    }

    @Test(arguments: [
        ("2026-11-21T12:30:00+02:30", "2026-11-21T10:00:00Z"), ("2026-11-21T00:00:00-10:00", "2026-11-21T10:00:00Z"),
        ("2026-11-21t10:00:00z", "2026-11-21T10:00:00Z"), ("2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.500000Z"),
        ("2026-11-21T10:00:00.1234567891Z", "2026-11-21T10:00:00.123456789Z"),
    ]) func `other forms of the same moment are read`(_ text: String, canonical: String) {
        #expect(Timestamp(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21 10:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+2:00", "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+",
        "-026-01-01T00:00:00Z", "2026-01-01T00:00:0aZ", "２０２６-01-01T00:00:00Z",
    ]) func `anything else is refused`(_ text: String) { #expect(Timestamp(text) == nil) }

    @Test func `every day of four centuries follows the one before`() throws {
        var day = try #require(Timestamp("1900-01-01T00:00:00Z"))
        var lastText = ""
        for _ in 0..<146_097 {
            let text = day.description
            #expect(Timestamp(text) == day)
            #expect(text > lastText)
            lastText = text
            day = day + .seconds(86400)
        }
        #expect(day.description == "2300-01-01T00:00:00Z")
    }

    @Test func `adding and subtracting carry over the second, in both directions`() {
        let moment = Timestamp(seconds: 10, nanoseconds: 900_000_000)
        #expect(moment + .milliseconds(200) == Timestamp(seconds: 11, nanoseconds: 100_000_000))
        #expect(moment + .milliseconds(-950) == Timestamp(seconds: 9, nanoseconds: 950_000_000))
        #expect(moment + .milliseconds(-10_950) == Timestamp(seconds: -1, nanoseconds: 950_000_000))
        #expect(moment - Timestamp(seconds: 11, nanoseconds: 100_000_000) == .milliseconds(-200))
        #expect(moment.wholeSeconds == Timestamp(seconds: 10))
        #expect(moment.microTime == "1970-01-01T00:00:10.900000Z")
    }
}
