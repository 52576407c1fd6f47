import ControllerRuntime
import Encoding

/// What a rule of the chain decided: what to do, the facts to write, and where the object stands.
struct TrainingJobDecision: Sendable, Equatable {
    typealias Step = Plan<TrainingJob.Status, TrainingJobAction>.Step
    typealias Next = Plan<TrainingJob.Status, TrainingJobAction>.Next

    var steps: [Step] = []
    /// With the facts that this round adds; what can be derived is filled in afterwards.
    var status: TrainingJob.Status
    var situation: Situation
    var next: Next = .whenChanged

    /// Writes facts that must be in the status before they are acted on: no steps, and another look at once.
    static func record(_ status: TrainingJob.Status, _ situation: Situation) -> TrainingJobDecision {
        TrainingJobDecision(status: status, situation: situation, next: .after(.zero))
    }
}

/// Where a TrainingJob stands: the rows of the truth table from which all conditions follow.
enum Situation: Sendable, Equatable {
    /// Before machines are looked for.
    case waiting(Reason, String)
    /// Machines are looked for.
    case provisioning(Reason, String)
    case training(String)
    /// A failure was found; the next attempt is prepared.
    case recovering(Reason, String)
    case verifying(Reason, String)
    /// The run has a result; compute is being released.
    case releasing(String)
    /// The run has a result; its compute is kept for the next run.
    case keepingIdle(String)
    /// The run has a result; its compute is kept for somebody to look at.
    case retaining(String)
    /// The release cannot go on without somebody.
    case releaseBlocked(Reason, String)
    /// The run has a result and nothing is left.
    case finished
    case suspending(String)
    case suspended
    /// The budget is used up, and nothing runs; a higher one lets the run go on.
    case stoppedByBudget(String)
    /// Mode Plan: the plan is written, and nothing else.
    case planned(String)
    /// Nothing goes on until the user acts.
    case actionRequired(Reason, String)
    case deleting(String)
}
