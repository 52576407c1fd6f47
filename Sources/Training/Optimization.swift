import Glibc
import Kernels

/// How weights follow their gradients, and how fast as the run goes on.
public struct Optimization: Sendable, Hashable {
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        case adam, adamw, sgd
    }

    /// What the learning rate does after the warm-up.
    public enum Schedule: String, Sendable, Hashable, CaseIterable {
        case constant, linear, cosine
    }

    public var algorithm = Algorithm.adam
    /// Adam's and AdamW's; at least 0 and below 1.
    public var beta1: Float = 0.9
    public var beta2: Float = 0.999
    /// sgd's; at least 0 and below 1.
    public var momentum: Float = 0
    public var isNesterov = false
    /// At least 0; nil: 0.01 for adamw, 0 for the others, as PyTorch has it.
    public var weightDecay: Float?
    public var schedule = Schedule.constant
    /// Steps in which the learning rate rises from nothing; at least 0.
    public var warmupSteps = 0
    /// Where linear and cosine end; at most the learning rate.
    public var minimumLearningRate: Float = 0
    /// Longer gradients are shortened to this; above 0, nil: as they are.
    public var maximumGradientNorm: Float?

    public init() {}

    /// The learning rate of a step: in the warm-up its share of `peak`, then as the schedule says, down to the minimum
    /// at the last step.
    ///
    /// - Parameters:
    ///   - peak: the highest.
    ///   - step: from 1.
    ///   - total: of the whole run.
    func learningRate(_ peak: Float, step: Int, of total: Int) -> Float {
        if step <= warmupSteps { return Float(Double(peak) * Double(step) / Double(warmupSteps)) }
        let part = min(1, Double(step - warmupSteps) / Double(max(1, total - warmupSteps)))
        let (high, low) = (Double(peak), Double(minimumLearningRate))
        switch schedule {
        case .constant: return peak
        case .linear: return Float(high + (low - high) * part)
        case .cosine: return Float(low + (high - low) * (1 + cos(part * .pi)) / 2)
        }
    }

    /// One step of the optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: of this step.
    ///   - step: from 1.
    /// - Returns: false, with all as it was, when the gradients are to be clipped and are not finite.
    func take(
        _ parameters: ParameterSet, learningRate: Float, step: Int, backend: any Backend
    ) -> Bool {
        var scale: Float = 1
        if let limit = maximumGradientNorm {
            let norm = parameters.gradients.norm
            guard norm.isFinite else { return false }
            scale = Float(min(1, Double(limit) / (norm + 1e-6)))
        }
        switch algorithm {
        case .adam, .adamw:
            var settings = AdamSettings(
                learningRate: learningRate, beta1: beta1, beta2: beta2, weightDecay: decay,
                isDecoupled: algorithm == .adamw)
            settings.gradientScale = scale
            backend.adam(
                settings, step: step, parameters: parameters.values, gradients: parameters.gradients,
                firstMoments: parameters.firstMoments, secondMoments: parameters.secondMoments)
        case .sgd:
            var settings = SGDSettings(
                learningRate: learningRate, momentum: momentum, isNesterov: isNesterov, weightDecay: decay)
            settings.gradientScale = scale
            backend.sgd(
                settings, parameters: parameters.values, gradients: parameters.gradients,
                velocities: parameters.firstMoments)
        }
        return true
    }

    private var decay: Float { weightDecay ?? (algorithm == .adamw ? 0.01 : 0) }

    /// All settings that make another run, in words.
    var description: String {
        var words = "\(algorithm.rawValue) \(schedule.rawValue) warmupSteps \(warmupSteps)"
        words += " minLearningRate \(minimumLearningRate) weightDecay \(decay)"
        words += algorithm == .sgd ? " momentum \(momentum) nesterov \(isNesterov)" : " betas \(beta1) \(beta2)"
        if let limit = maximumGradientNorm { words += " maxGradNorm \(limit)" }
        return words
    }
}
