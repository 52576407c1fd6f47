import Testing

@testable import TrainyardCommand

@Suite struct Formatting {
    @Test(arguments: [
        (0.305, 2, "0.31"), (-1.5, 1, "-1.5"), (-0.001, 2, "0.00"), (2, 0, "2"), (1234.5678, 4, "1234.5678"),
        (.nan, 2, "?"), (.infinity, 2, "?"), (99.999, 2, "100.00"),
    ])
    func `decimals are rounded`(_ value: Double, _ digits: Int, _ text: String) {
        #expect(Format.decimal(value, digits) == text)
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (60_000, "60,000"), (-1_234_567, "-1,234,567")])
    func `counts are grouped`(_ value: Int, _ text: String) {
        #expect(Format.count(value) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4_800_000, "4.6 MiB"), (1_073_741_824, "1.0 GiB"),
            (1_048_575, "1.0 MiB"),
        ] as [(Int64, String)])
    func `sizes have binary units`(_ value: Int64, _ text: String) {
        #expect(Format.bytes(value) == text)
    }

    @Test(arguments: [(0, "00:00"), (65, "01:05"), (3723, "1:02:03"), (-4, "00:00")] as [(Int64, String)])
    func `clocks count up`(_ seconds: Int64, _ text: String) {
        #expect(Format.clock(.seconds(seconds)) == text)
    }

    @Test(arguments: [(42, "42 s"), (120, "2 min"), (125, "2 min 5 s"), (3720, "1 h 2 min")])
    func `spans are words`(_ seconds: Int, _ text: String) {
        #expect(Format.span(seconds: seconds) == text)
    }

    @Test func `a server's text cannot steer the terminal`() {
        #expect(Format.line("a\u{1B}[2Jb\nc") == "a [2Jb c")
        #expect(Format.line("abcdef", limit: 4) == "abc…")
    }

    @Test(arguments: [
        ("epoch", ["epochs", "seed"], "; did you mean 'epochs'?"), ("zzz", ["epochs"], ""), ("x", [], ""),
    ])
    func `near matches are offered`(_ text: String, _ candidates: [String], _ hint: String) {
        #expect(NearMatch.hint(text, candidates) == hint)
    }
}
