import Encoding
import Training

/// What a client asks for, checked: nothing but numbers of the right count leaves this file.
struct PredictionRequest: Sendable, Hashable {
    /// 0 … 255, image after image, row by row.
    var pixels: [Float]
    var count: Int
    /// Whether the probabilities of all classes are wanted.
    var wantsScores = false

    /// Why a request cannot be answered, as a sentence for its sender.
    struct Problem: Error, Sendable, Hashable {
        var message: String

        init(_ message: String) { self.message = message }
    }

    /// `{"instances": [...]}`, or `data` in its place; `"scores": true`, or the same below `parameters`.
    ///
    /// - Throws: a problem that names the first wrong instance.
    init(predict body: JSONValue, _ signature: ModelSignature, limit: Int) throws(Problem) {
        guard body.objectValue != nil else { throw Problem("the body is no JSON object; \(Self.form(signature))") }
        guard (body["instances"] == nil) != (body["data"] == nil) else {
            throw Problem("the body needs \"instances\" (or \"data\"), once; \(Self.form(signature))")
        }
        guard let instances = (body["instances"] ?? body["data"])?.arrayValue else {
            throw Problem("\"instances\" is no list; \(Self.form(signature))")
        }
        guard !instances.isEmpty else { throw Problem("\"instances\" is empty") }
        guard instances.count <= limit else {
            throw Problem("\(instances.count) instances are too many for one request: at most \(limit)")
        }
        let scores = body["scores"] ?? body["parameters"]?["scores"]
        if let scores {
            guard let isWanted = scores.boolValue else { throw Problem("\"scores\" is true or false") }
            wantsScores = isWanted
        }
        count = instances.count
        pixels = []
        pixels.reserveCapacity(count * signature.pixelCount)
        for (index, instance) in instances.enumerated() {
            try Self.append(instance, to: &pixels, name: "instances[\(index)]", signature)
        }
    }

    private static func form(_ signature: ModelSignature) -> String {
        let (height, width) = (signature.height, signature.width)
        return "{\"instances\": [image, ...]}, where an image is \(height)×\(width), 1×\(height)×\(width) or "
            + "\(height)×\(width)×1 numbers from 0 to 255, \(signature.pixelCount) of them in a row, or {\"b64\": bytes}"
    }

    // MARK: One image

    static func append(
        _ instance: JSONValue, to pixels: inout [Float], name: String, _ signature: ModelSignature
    ) throws(Problem) {
        if let text = instance["b64"]?.stringValue {
            guard let bytes = Base64.decode(text) else { throw Problem("\(name).b64 is no base64") }
            guard bytes.count == signature.pixelCount else {
                throw Problem("\(name).b64 has \(bytes.count) bytes; an image has \(signature.pixelCount)")
            }
            for byte in bytes { pixels.append(Float(byte)) }
            return
        }
        let shape = try self.shape(instance, name)
        let (height, width) = (signature.height, signature.width)
        guard [[signature.pixelCount], [height, width], [1, height, width], [height, width, 1]].contains(shape) else {
            throw Problem(
                "\(name) has the shape \(text(shape)); \(form(signature))")
        }
        try appendNumbers(instance, shape[...], to: &pixels, name)
    }

    /// The extents along the first elements; `appendNumbers` holds all others to them.
    private static func shape(_ value: JSONValue, _ name: String) throws(Problem) -> [Int] {
        var shape: [Int] = []
        var part = value
        while case .array(let elements) = part {
            guard shape.count < 4, let first = elements.first else {
                throw Problem("\(name) is \(elements.isEmpty ? "empty, or has an empty row" : "nested too deep")")
            }
            shape.append(elements.count)
            part = first
        }
        guard !shape.isEmpty else { throw Problem("\(name) is no list of numbers, but \(kind(value))") }
        return shape
    }

    private static func appendNumbers(
        _ value: JSONValue, _ shape: ArraySlice<Int>, to pixels: inout [Float], _ name: String
    ) throws(Problem) {
        guard let extent = shape.first else {
            pixels.append(try pixel(value, name))
            return
        }
        guard case .array(let elements) = value, elements.count == extent else {
            throw Problem("\(name) is ragged: a row has not \(extent) elements")
        }
        if shape.count == 1 {
            for element in elements { pixels.append(try pixel(element, name)) }
        } else {
            for element in elements { try appendNumbers(element, shape.dropFirst(), to: &pixels, name) }
        }
    }

    /// - Throws: also for numbers that no pixel has; JSON knows no NaN.
    static func pixel(_ value: JSONValue, _ name: String) throws(Problem) -> Float {
        switch value {
        case .integer(let number) where (0...255).contains(number): return Float(number)
        case .number(let number) where number >= 0 && number <= 255: return Float(number)
        case .integer, .number: throw Problem("\(name) holds \(value.serializedText()); pixels are from 0 to 255")
        default: throw Problem("\(name) holds \(kind(value)) where a number belongs")
        }
    }

    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "true or false"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        case .integer, .number: "a number"
        }
    }

    static func text(_ shape: [Int]) -> String { shape.map { String($0) }.joined(separator: "×") }
}

extension PredictionRequest {
    /// The `inputs` of an infer request: one tensor of images, with its data flat or nested as its shape.
    ///
    /// Source: Open Inference Protocol, version 2, "Inference request JSON object".
    init(infer body: JSONValue, _ signature: ModelSignature, limit: Int) throws(Problem) {
        guard let inputs = body["inputs"]?.arrayValue, inputs.count == 1 else {
            throw Problem("\"inputs\" is a list of one tensor")
        }
        let input = inputs[0]
        guard input["name"]?.stringValue != nil else { throw Problem("inputs[0] has no name") }
        let types = InferenceProtocol.inputTypes
        guard let type = input["datatype"]?.stringValue, types.contains(type) else {
            throw Problem("inputs[0].datatype is one of \(types.joined(separator: ", "))")
        }
        let shape = input["shape"]?.arrayValue?.compactMap(\.integerValue) ?? []
        let (height, width) = (Int64(signature.height), Int64(signature.width))
        let rest = Array(shape.dropFirst())
        guard let images = shape.first, images >= 1,
            [[height, width], [1, height, width], [height, width, 1], [height * width]].contains(rest)
        else {
            throw Problem(
                "inputs[0].shape is [images, 1, \(height), \(width)], [images, \(height), \(width)] or "
                    + "[images, \(height * width)]")
        }
        guard images <= limit else { throw Problem("\(images) images are too many for one request: at most \(limit)") }
        guard let data = input["data"]?.arrayValue else { throw Problem("inputs[0].data is no list") }
        count = Int(images)
        pixels = []
        pixels.reserveCapacity(count * signature.pixelCount)
        try Self.appendFlat(data, to: &pixels, limit: count * signature.pixelCount, depth: 0)
        guard pixels.count == count * signature.pixelCount else {
            throw Problem(
                "inputs[0].data has \(pixels.count) numbers; its shape says \(count * signature.pixelCount)")
        }
        wantsScores = true
    }

    private static func appendFlat(
        _ values: [JSONValue], to pixels: inout [Float], limit: Int, depth: Int
    ) throws(Problem) {
        for value in values {
            if case .array(let nested) = value {
                guard depth < 4 else { throw Problem("inputs[0].data is nested too deep") }
                try appendFlat(nested, to: &pixels, limit: limit, depth: depth + 1)
            } else {
                guard pixels.count < limit else {
                    throw Problem("inputs[0].data has more numbers than its shape says (\(limit))")
                }
                pixels.append(try pixel(value, "inputs[0].data"))
            }
        }
    }
}
