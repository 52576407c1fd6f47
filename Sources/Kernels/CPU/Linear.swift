extension CPUBackend {
    public func linearForward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor
    ) {
        shape.check(rows: rows, input: input, weight: weight, bias: bias, output: output)
        multiply(
            MatrixProduct(
                rows: rows, columns: shape.outputs,
                a: MatrixView(base: input.pointer, rowStride: shape.inputs, columnStride: 1),
                b: MatrixView(base: weight.pointer, rowStride: 1, columnStride: shape.inputs),
                c: output.pointer, cStride: shape.outputs), inner: shape.inputs)
        let target = output.pointer
        for row in 0..<rows {
            for column in 0..<shape.outputs {
                let value = target[row * shape.outputs + column] + bias.pointer[column]
                target[row * shape.outputs + column] = shape.relu && value < 0 ? 0 : value
            }
        }
    }

    public func linearBackward(
        _ shape: LinearShape, parts: BatchParts, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor
    ) {
        let rows = parts.count
        shape.check(rows: rows, input: input, weight: weight, bias: biasGradient, output: output)
        shape.checkGradients(rows: rows, output: outputGradient, input: inputGradient, weight: weightGradient)
        if shape.relu {
            for index in 0..<(rows * shape.outputs) where output.pointer[index] <= 0 {
                outputGradient.pointer[index] = 0
            }
        }
        let scratch = memory(.bias, (parts.depth + 1) * shape.outputs)
        parts.addUp(parts.range, count: shape.outputs, into: biasGradient.pointer, scratch: scratch) { part, target in
            target.update(repeating: 0, count: shape.outputs)
            for row in parts.images(part) {
                let gradient = outputGradient.pointer + row * shape.outputs
                for column in 0..<shape.outputs { target[column] += gradient[column] }
            }
        }
        multiply(
            MatrixProduct(
                rows: shape.outputs, columns: shape.inputs,
                a: MatrixView(base: outputGradient.pointer, rowStride: 1, columnStride: shape.outputs),
                b: MatrixView(base: input.pointer, rowStride: shape.inputs, columnStride: 1),
                c: weightGradient.pointer, cStride: shape.inputs), parts: parts)
        guard let inputGradient else { return }
        multiply(
            MatrixProduct(
                rows: rows, columns: shape.inputs,
                a: MatrixView(base: outputGradient.pointer, rowStride: shape.outputs, columnStride: 1),
                b: MatrixView(base: weight.pointer, rowStride: shape.inputs, columnStride: 1),
                c: inputGradient.pointer, cStride: shape.inputs), inner: shape.outputs)
    }
}

extension LinearShape {
    /// The sizes that a linear layer's memory accesses rely on.
    func check(rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor) {
        invariant(rows >= 0 && input.count >= rows * inputs, "the input holds the rows")
        invariant(weight.count == inputs * outputs && bias.count == outputs, "weights have the layer's shape")
        invariant(output.count >= rows * outputs, "the output holds the rows")
    }

    func checkGradients(rows: Int, output: Tensor, input: Tensor?, weight: Tensor) {
        invariant(output.count >= rows * outputs, "the output gradient holds the rows")
        invariant(input.map { $0.count >= rows * inputs } ?? true, "the input gradient holds the rows")
        invariant(weight.count == inputs * outputs, "the weight gradient has the layer's shape")
    }
}
