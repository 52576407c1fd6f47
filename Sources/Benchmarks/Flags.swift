/// The arguments of a benchmark, one flag after the other; what is wrong with one is said in a sentence.
struct Flags {
    private var rest: ArraySlice<String>
    private var flag = ""

    init(_ arguments: some Collection<String>) { rest = Array(arguments)[...] }

    /// The next flag, nil after the last.
    mutating func next() -> String? {
        guard let next = rest.popFirst() else { return nil }
        flag = next
        return next
    }

    /// What follows the flag.
    mutating func value() throws -> String {
        guard let value = rest.popFirst() else { throw BenchmarkError("\(flag)?\n\(usage)") }
        return value
    }

    mutating func number(_ range: ClosedRange<Int>) throws -> Int {
        guard let number = Int(try value()), range.contains(number) else { throw outside(range) }
        return number
    }

    mutating func number(_ range: ClosedRange<Double>) throws -> Double {
        guard let number = Double(try value()), range.contains(number) else { throw outside(range) }
        return number
    }

    /// Numbers with commas between them.
    mutating func numbers(_ range: ClosedRange<Int>) throws -> [Int] {
        let numbers = try value().split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? .min }
        guard numbers.allSatisfy(range.contains) else {
            throw BenchmarkError("\(flag): numbers from \(range.lowerBound) to \(range.upperBound), please")
        }
        return numbers
    }

    private func outside<Bound>(_ range: ClosedRange<Bound>) -> BenchmarkError {
        BenchmarkError("\(flag): a number from \(range.lowerBound) to \(range.upperBound), please")
    }

    /// For a flag that the benchmark does not have.
    var unknown: BenchmarkError { BenchmarkError("unknown argument \(flag)\n\(usage)") }
}
