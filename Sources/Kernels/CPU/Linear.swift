extension CPUBackend {
    public func linearForward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, bias: Tensor, output: Tensor
    ) {
        shape.check(rows: rows, input: input, weight: weight, bias: bias, output: output)
        multiply(
            MatrixProduct(
                rows: rows, columns: shape.outputs, inner: shape.inputs,
                a: MatrixView(base: input.pointer, rowStride: shape.inputs, columnStride: 1),
                b: MatrixView(base: weight.pointer, rowStride: 1, columnStride: shape.inputs),
                c: output.pointer, cStride: shape.outputs))
        let target = output.pointer
        for row in 0..<rows {
            for column in 0..<shape.outputs {
                let value = target[row * shape.outputs + column] + bias.pointer[column]
                target[row * shape.outputs + column] = shape.relu && value < 0 ? 0 : value
            }
        }
    }

    public func linearBackward(
        _ shape: LinearShape, rows: Int, input: Tensor, weight: Tensor, output: Tensor, outputGradient: Tensor,
        inputGradient: Tensor?, weightGradient: Tensor, biasGradient: Tensor
    ) {
        shape.check(rows: rows, input: input, weight: weight, bias: biasGradient, output: output)
        shape.checkGradients(rows: rows, output: outputGradient, input: inputGradient, weight: weightGradient)
        if shape.relu {
            for index in 0..<(rows * shape.outputs) where output.pointer[index] <= 0 {
                outputGradient.pointer[index] = 0
            }
        }
        biasGradient.pointer.update(repeating: 0, count: shape.outputs)
        for row in 0..<rows {
            for column in 0..<shape.outputs {
                biasGradient.pointer[column] += outputGradient.pointer[row * shape.outputs + column]
            }
        }
        multiply(
            MatrixProduct(
                rows: shape.outputs, columns: shape.inputs, inner: rows,
                a: MatrixView(base: outputGradient.pointer, rowStride: 1, columnStride: shape.outputs),
                b: MatrixView(base: input.pointer, rowStride: shape.inputs, columnStride: 1),
                c: weightGradient.pointer, cStride: shape.inputs))
        guard let inputGradient else { return }
        multiply(
            MatrixProduct(
                rows: rows, columns: shape.inputs, inner: shape.outputs,
                a: MatrixView(base: outputGradient.pointer, rowStride: shape.outputs, columnStride: 1),
                b: MatrixView(base: weight.pointer, rowStride: shape.inputs, columnStride: 1),
                c: inputGradient.pointer, cStride: shape.inputs))
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
