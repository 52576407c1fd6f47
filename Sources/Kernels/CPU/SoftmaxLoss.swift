import Glibc

extension CPUBackend {
    public func softmaxLoss(
        parts: BatchParts, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?
    ) -> SoftmaxLoss {
        invariant(
            logits.count >= parts.count * classes && labels.count >= parts.count, "logits and labels hold the rows")
        invariant(gradient.map { $0.count >= parts.count * classes } ?? true, "the gradient holds the rows")
        var result = SoftmaxLoss(sum: 0, correctCount: 0)
        for part in parts.range {
            let loss = softmaxLoss(
                rows: parts.images(part), scale: 1 / Float(parts.batchCount), classes: classes, logits: logits,
                labels: labels, gradient: gradient)
            result.sum += loss.sum
            result.correctCount += loss.correctCount
        }
        return result
    }

    private func softmaxLoss(
        rows: Range<Int>, scale: Float, classes: Int, logits: Tensor, labels: ByteTensor, gradient: Tensor?
    ) -> SoftmaxLoss {
        var result = SoftmaxLoss(sum: 0, correctCount: 0)
        for row in rows {
            let values = logits.pointer + row * classes
            let label = Int(labels.pointer[row])
            invariant(label < classes, "a label is one of the classes")
            var largest = 0
            for index in 1..<max(1, classes) where values[index] > values[largest] { largest = index }
            var sum = 0.0
            for index in 0..<classes { sum += Double(expf(values[index] - values[largest])) }
            result.sum += log(sum) + Double(values[largest]) - Double(values[label])
            if largest == label { result.correctCount += 1 }
            guard let gradient else { continue }
            let target = gradient.pointer + row * classes
            for index in 0..<classes {
                let probability = Float(Double(expf(values[index] - values[largest])) / sum)
                target[index] = (probability - (index == label ? 1 : 0)) * scale
            }
        }
        return result
    }
}
