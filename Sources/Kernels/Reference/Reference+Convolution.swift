extension Reference {
    /// y[n,o,i,j] = b[o] + Σ over c, r, s of w[o,c,r,s] · x[n,c,i+r,j+s].
    ///
    /// - x: (images, C, H, W); w: (O, C, 3, 3); b: (O); y: (images, O, H−2, W−2).
    /// - Source: the cross-correlation of PyTorch's `Conv2d`, stride 1, no padding.
    public static func convolution(
        _ shape: ConvolutionShape, images: Int, input x: [Double], weight w: [Double], bias b: [Double]
    ) -> [Double] {
        var y = [Double](repeating: 0, count: images * shape.outputCount)
        forEachTap(shape, images: images) { yIndex, xIndex, wIndex in y[yIndex] += w[wIndex] * x[xIndex] }
        for index in y.indices { y[index] += b[index / shape.outputPlane % shape.outputChannels] }
        return y
    }

    /// dx[n,c,i+r,j+s] = Σ over o, r, s of w[o,c,r,s] · dy[n,o,i,j].
    public static func convolutionInputGradient(
        _ shape: ConvolutionShape, images: Int, outputGradient dy: [Double], weight w: [Double]
    ) -> [Double] {
        var dx = [Double](repeating: 0, count: images * shape.inputCount)
        forEachTap(shape, images: images) { yIndex, xIndex, wIndex in dx[xIndex] += w[wIndex] * dy[yIndex] }
        return dx
    }

    /// dw[o,c,r,s] = Σ over n, i, j of dy[n,o,i,j] · x[n,c,i+r,j+s].
    public static func convolutionWeightGradient(
        _ shape: ConvolutionShape, images: Int, outputGradient dy: [Double], input x: [Double]
    ) -> [Double] {
        var dw = [Double](repeating: 0, count: shape.weightCount)
        forEachTap(shape, images: images) { yIndex, xIndex, wIndex in dw[wIndex] += dy[yIndex] * x[xIndex] }
        return dw
    }

    /// db[o] = Σ over n, i, j of dy[n,o,i,j].
    public static func convolutionBiasGradient(
        _ shape: ConvolutionShape, images: Int, outputGradient dy: [Double]
    ) -> [Double] {
        var db = [Double](repeating: 0, count: shape.outputChannels)
        for index in 0..<(images * shape.outputCount) {
            db[index / shape.outputPlane % shape.outputChannels] += dy[index]
        }
        return db
    }

    /// Calls `body` with the indices of y[n,o,i,j], x[n,c,i+r,j+s] and w[o,c,r,s] for every n, o, c, i, j, r, s.
    private static func forEachTap(
        _ shape: ConvolutionShape, images: Int, _ body: (_ y: Int, _ x: Int, _ w: Int) -> Void
    ) {
        for pair in 0..<(images * shape.outputChannels * shape.inputChannels) {
            let channel = pair % shape.inputChannels
            let output = pair / shape.inputChannels % shape.outputChannels
            let image = pair / shape.inputChannels / shape.outputChannels
            let yPlane = (image * shape.outputChannels + output) * shape.outputPlane
            let xPlane = (image * shape.inputChannels + channel) * shape.inputPlane
            let wPlane = (output * shape.inputChannels + channel) * ConvolutionShape.taps
            for position in 0..<shape.outputPlane {
                let row = position / shape.outputWidth, column = position % shape.outputWidth
                for tap in 0..<ConvolutionShape.taps {
                    let r = tap / ConvolutionShape.side, s = tap % ConvolutionShape.side
                    body(yPlane + position, xPlane + (row + r) * shape.inputWidth + column + s, wPlane + tap)
                }
            }
        }
    }
}
