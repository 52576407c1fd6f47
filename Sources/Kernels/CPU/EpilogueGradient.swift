/// The way back through a convolution's epilogue: where each gradient goes, and their sum for the bias.
enum EpilogueGradient {
    /// target[i] = gradient[i], or 0 where ReLU's output is not positive (nil: no ReLU), over `count` columns of a row.
    ///
    /// - Returns: the sums of 8 columns each; the lanes' total is the row's sum.
    @inline(__always)
    static func row(
        _ gradient: UnsafePointer<Float>, output: UnsafePointer<Float>?, count: Int,
        into target: UnsafeMutablePointer<Float>
    ) -> SIMD8<Float> {
        var sums = SIMD8<Float>.zero
        var column = 0
        while column + 8 <= count {
            var value = vector8(gradient + column)
            if let output { value = value.replacing(with: 0, where: vector8(output + column) .<= 0) }
            UnsafeMutableRawPointer(target + column).storeBytes(of: value, as: SIMD8<Float>.self)
            sums += value
            column += 8
        }
        while column < count {
            let value = output.map { $0[column] <= 0 } ?? false ? 0 : gradient[column]
            target[column] = value
            sums[0] += value
            column += 1
        }
        return sums
    }

    /// The gradient of one row of 2×2 windows: each goes to its maximum's place in two rows of the target, zeros to
    /// the other places; 0 where the output is not positive.
    ///
    /// - target: the upper row, `pitch` floats above the lower one.
    /// - Returns: the sums of 4 windows each.
    @inline(__always)
    static func windows(
        _ gradient: UnsafePointer<Float>, output: UnsafePointer<Float>, maxima: UnsafePointer<UInt8>, count: Int,
        into target: UnsafeMutablePointer<Float>, pitch: Int
    ) -> SIMD4<Float> {
        var sums = SIMD4<Float>.zero
        var column = 0
        while column + 4 <= count {
            let value = vector4(gradient + column).replacing(with: 0, where: vector4(output + column) .<= 0)
            let bytes = UnsafeRawPointer(maxima + column).loadUnaligned(as: SIMD4<UInt8>.self)
            let places = SIMD4<Int32>(truncatingIfNeeded: bytes)
            store(value, places, 0, target + 2 * column)
            store(value, places, 2, target + pitch + 2 * column)
            sums += value
            column += 4
        }
        while column < count {
            let value = output[column] <= 0 ? 0 : gradient[column]
            for place in 0..<4 {
                target[(place >> 1) * pitch + 2 * column + (place & 1)] = Int(maxima[column]) == place ? value : 0
            }
            sums[0] += value
            column += 1
        }
        return sums
    }

    /// Undoes the epilogue of one image: the gradient before it by plane, and its sums added to the biases'.
    ///
    /// Rows and columns that belong to no window of the pooling stay as they are.
    ///
    /// - target: the first plane's first element; `pitch` floats to the next row, `planeStride` to the next plane.
    static func spread(
        _ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, gradient: UnsafePointer<Float>,
        output: UnsafePointer<Float>, maxima: UnsafePointer<UInt8>?, into target: UnsafeMutablePointer<Float>,
        pitch: Int, planeStride: Int, biasSums: UnsafeMutablePointer<Float>
    ) {
        for plane in 0..<shape.outputChannels {
            let result = target + plane * planeStride
            if epilogue == .reluMaxPool {
                guard let maxima else { return }
                let offset = plane * shape.pooledPlane
                biasSums[plane] += spreadWindows(
                    shape, gradient + offset, output + offset, maxima + offset, result, pitch)
            } else {
                let offset = plane * shape.outputPlane
                biasSums[plane] += spreadRows(
                    shape, gradient + offset, epilogue == .relu ? output + offset : nil, result, pitch)
            }
        }
    }

    private static func spreadRows(
        _ shape: ConvolutionShape, _ gradient: UnsafePointer<Float>, _ output: UnsafePointer<Float>?,
        _ target: UnsafeMutablePointer<Float>, _ pitch: Int
    ) -> Float {
        let width = shape.outputWidth
        var sums = SIMD8<Float>.zero
        for row in 0..<shape.outputHeight {
            sums += EpilogueGradient.row(
                gradient + row * width, output: output.map { $0 + row * width }, count: width,
                into: target + row * pitch)
        }
        return sums.sum()
    }

    private static func spreadWindows(
        _ shape: ConvolutionShape, _ gradient: UnsafePointer<Float>, _ output: UnsafePointer<Float>,
        _ maxima: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ pitch: Int
    ) -> Float {
        let width = shape.pooledWidth
        var sums = SIMD4<Float>.zero
        for row in 0..<shape.pooledHeight {
            let offset = row * width
            sums += EpilogueGradient.windows(
                gradient + offset, output: output + offset, maxima: maxima + offset, count: width,
                into: target + 2 * row * pitch, pitch: pitch)
        }
        return sums.sum()
    }

    /// One row of 4 windows: the values whose maximum lies at `first` to the even places, at `first` + 1 to the odd.
    @inline(__always)
    private static func store(
        _ value: SIMD4<Float>, _ places: SIMD4<Int32>, _ first: Int32, _ target: UnsafeMutablePointer<Float>
    ) {
        let even = select(value, places, first), odd = select(value, places, first + 1)
        let row = SIMD8(even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3])
        UnsafeMutableRawPointer(target).storeBytes(of: row, as: SIMD8<Float>.self)
    }

    /// The values whose place is `place`, 0 for the others. Comparisons of integer vectors are made lane by lane by the
    /// compiler (6.3), so the mask is made by a subtraction: only 0 − 1 has its sign set.
    @inline(__always)
    private static func select(_ value: SIMD4<Float>, _ places: SIMD4<Int32>, _ place: Int32) -> SIMD4<Float> {
        let mask = ((places ^ SIMD4(repeating: place)) &- SIMD4(repeating: 1)) &>> SIMD4(repeating: 31)
        return unsafeBitCast(unsafeBitCast(value, to: SIMD4<Int32>.self) & mask, to: SIMD4<Float>.self)
    }

    @inline(__always)
    private static func vector8(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
    }

    @inline(__always)
    private static func vector4(_ pointer: UnsafePointer<Float>) -> SIMD4<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD4<Float>.self)
    }
}
