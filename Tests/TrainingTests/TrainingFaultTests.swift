import Testing
import TrainingContract

@testable import Training

struct TrainingFaultTests {
    @Test(
        arguments: [
            ("hang-at-step=40", 0, 1, TrainingFault.Kind.hang, 40), ("kill-at-step=7,rank=2", 2, 1, .kill, 7),
            ("attempt=3,kill-at-write=1", 0, 3, .killInsteadOfWrite, 1),
            ("kill-after-write=2,attempt=any,rank=any", 5, 9, .killAfterWrite, 2),
            ("pause-at-step=3;pause-at-step=8,attempt=2", 0, 2, .pause, 8),
            ("kill-at-step=9,rank=1;hang-at-step=4;hang-at-step=5", 0, 1, .hang, 4),
        ])
    func `a fault is read for its rank and attempt`(
        text: String, rank: Int, attempt: Int, kind: TrainingFault.Kind, number: Int
    ) throws {
        let fault = try #require(try TrainingFault(text, rank: rank, attempt: attempt))
        #expect(fault.kind == kind && fault.number == number)
    }

    @Test(arguments: [("hang-at-step=4", 1, 1), ("hang-at-step=4", 0, 2), ("kill-at-step=4,rank=1,attempt=2", 1, 1)])
    func `other ranks and attempts have none`(text: String, rank: Int, attempt: Int) throws {
        #expect(try TrainingFault(text, rank: rank, attempt: attempt) == nil)
    }

    @Test(arguments: [
        "", "rank=1", "hang-at-step=4;", "hang-at-step=4;sleep=1", "hang-at-step", "hang-at-step=-1",
        "hang-at-step=any", "sleep=3", "kill-at-step=1,kill-at-step=2",
    ])
    func `what is no fault is an error`(text: String) {
        let error = #expect(throws: TrainingError.self) { try TrainingFault(text, rank: 0, attempt: 1) }
        #expect(error?.code == .usage)
    }
}
