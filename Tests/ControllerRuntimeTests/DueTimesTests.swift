import Testing

@testable import ControllerRuntime

@Suite struct DueTimesTests {
    /// The last one of the heap takes the place of what is removed from its middle: it may have to rise there.
    @Test(arguments: 1...5)
    func `whatever was removed or set anew meanwhile, the rest comes in the order of time`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var times = DueTimes()
        var model: [ObjectKey: Duration] = [:]
        for _ in 0..<1000 {
            let key = ObjectKey(namespace: "ns", name: "\(Int.random(in: 0..<200, using: &random))")
            if Bool.random(using: &random) {
                let due = Duration.seconds(Int.random(in: 0..<1000, using: &random))
                times.set(key, due: due, priority: .recheck)
                model[key] = due
            } else {
                times.remove(key)
                model[key] = nil
            }
        }
        #expect(times.count == model.count)
        var order: [Duration] = []
        while let first = times.first {
            #expect(first.due == model[first.key])
            order.append(first.due)
            times.remove(first.key)
        }
        #expect(order == model.values.sorted())
    }
}
