extension Reference {
    /// y[n,o] = b[o] + Σ over i of x[n,i] · w[o,i].
    ///
    /// - x: (rows, inputs); w: (outputs, inputs); b: (outputs); y: (rows, outputs).
    public static func linear(
        _ shape: LinearShape, rows: Int, input x: [Double], weight w: [Double], bias b: [Double]
    ) -> [Double] {
        var y: [Double] = []
        for row in 0..<rows {
            for output in 0..<shape.outputs {
                var sum = b[output]
                for i in 0..<shape.inputs { sum += x[row * shape.inputs + i] * w[output * shape.inputs + i] }
                y.append(sum)
            }
        }
        return y
    }

    /// dx[n,i] = Σ over o of dy[n,o] · w[o,i].
    public static func linearInputGradient(
        _ shape: LinearShape, rows: Int, outputGradient dy: [Double], weight w: [Double]
    ) -> [Double] {
        var dx = [Double](repeating: 0, count: rows * shape.inputs)
        for row in 0..<rows {
            for output in 0..<shape.outputs {
                let gradient = dy[row * shape.outputs + output]
                for i in 0..<shape.inputs { dx[row * shape.inputs + i] += gradient * w[output * shape.inputs + i] }
            }
        }
        return dx
    }

    /// dw[o,i] = Σ over n of dy[n,o] · x[n,i].
    public static func linearWeightGradient(
        _ shape: LinearShape, rows: Int, outputGradient dy: [Double], input x: [Double]
    ) -> [Double] {
        var dw = [Double](repeating: 0, count: shape.inputs * shape.outputs)
        for row in 0..<rows {
            for output in 0..<shape.outputs {
                let gradient = dy[row * shape.outputs + output]
                for i in 0..<shape.inputs { dw[output * shape.inputs + i] += gradient * x[row * shape.inputs + i] }
            }
        }
        return dw
    }

    /// db[o] = Σ over n of dy[n,o].
    public static func linearBiasGradient(_ shape: LinearShape, rows: Int, outputGradient dy: [Double]) -> [Double] {
        var db = [Double](repeating: 0, count: shape.outputs)
        for index in 0..<(rows * shape.outputs) { db[index % shape.outputs] += dy[index] }
        return db
    }
}
