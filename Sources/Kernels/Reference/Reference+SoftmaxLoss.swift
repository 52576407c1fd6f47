import Glibc

extension Reference {
    /// loss[n] = log Σ over c of exp(z[n,c]) − z[n,label[n]], with the largest logit taken out of the sum.
    ///
    /// - z: (rows, classes). Source: PyTorch's `log_softmax` and `nll_loss`.
    public static func softmaxLosses(rows: Int, classes: Int, logits z: [Double], labels: [UInt8]) -> [Double] {
        (0..<rows).map { row in
            let values = z[(row * classes)..<((row + 1) * classes)]
            let largest = values.reduce(-Double.infinity) { $1 > $0 || $1.isNaN ? $1 : $0 }
            let sum = values.reduce(0) { $0 + exp($1 - largest) }
            return log(sum) + largest - z[row * classes + Int(labels[row])]
        }
    }

    /// dz[n,c] = (softmax(z[n])[c] − [c = label[n]]) / batchCount (rows where nil): the gradient of the mean of
    /// `softmaxLosses` over a batch that has these rows among others.
    public static func softmaxLossGradient(
        rows: Int, classes: Int, logits z: [Double], labels: [UInt8], batchCount: Int? = nil
    ) -> [Double] {
        let losses = softmaxLosses(rows: rows, classes: classes, logits: z, labels: labels)
        return z.indices.map { index in
            let row = index / classes
            let label = Int(labels[row])
            let logSum = losses[row] + z[row * classes + label]
            return (exp(z[index] - logSum) - (index % classes == label ? 1 : 0)) / Double(batchCount ?? rows)
        }
    }
}
