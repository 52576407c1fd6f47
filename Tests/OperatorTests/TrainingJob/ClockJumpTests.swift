import ControllerRuntime
import Encoding
import Testing

@testable import Operator

/// A clock that is put forward costs nothing; time that passes does.
@Suite struct ClockJumpTests {
    private func watch(_ looks: [(wall: Int, uptime: Int)]) -> [ClockJump] {
        var watch = ClockWatch()
        for look in looks { watch.look(wall: moment(look.wall), uptime: .seconds(look.uptime)) }
        return watch.jumps
    }

    @Test func `only what the uptime does not know is a jump`() {
        #expect(watch([(0, 5), (10, 15), (3610, 3615)]) == [], "both clocks went on")
        #expect(watch([(0, 5), (20, 15)]) == [], "slewed")
        #expect(watch([(0, 5), (-3600, 15)]) == [], "set back")
        #expect(
            watch([(0, 5), (3610, 15), (3620, 25), (3720, 35)]) == [
                ClockJump(time: moment(3610), amount: .seconds(3600)),
                ClockJump(time: moment(3720), amount: .seconds(90)),
            ])
        #expect(watch((0..<40).map { ($0 * 100, $0) }).count == 16)
    }

    private func cost() -> TrainingJob.Cost {
        var cost = TrainingJob.Cost()
        cost.accrued = "1.00"
        cost.hourlyRate = "0.397336"
        cost.updateTime = moment(60)
        return cost
    }

    private func world(_ jumps: [ClockJump]) -> TrainingJobObservation {
        var observation = trainingObservation(now: moment(7260)) { job in
            job.status?.cost = cost()
            job.spec.budget = .init(currencyCode: "USD", maxCost: "1.50", onExceeded: .checkpointAndSuspend)
        }
        observation.clockJumps = jumps
        return observation
    }

    @Test func `a jump is no spending, and stops no run`() {
        let jump = ClockJump(time: moment(7200), amount: .seconds(7000))
        let plan = TrainingJobPlan.plan(world([jump]))
        #expect(plan.status.cost?.accrued == "1.022074")
        #expect(plan.status.state == "Training")
    }

    @Test func `time that passed is spent, also while nobody looked`() {
        #expect(TrainingJobPlan.plan(world([])).status.cost?.limitReached != nil)
        // Counted before: a jump is taken off once.
        let old = ClockJump(time: moment(60), amount: .seconds(7000))
        #expect(TrainingJobPlan.plan(world([old])).status.cost?.limitReached != nil)
    }
}
