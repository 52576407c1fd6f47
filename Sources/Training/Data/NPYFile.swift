import TrainingContract

/// A NumPy array of whole numbers, as `numpy.save` writes it.
///
/// The magic bytes `93 4E 55 4D 50 59`, a version of two bytes, the header's length (2 bytes little-endian in version 1,
/// 4 in 2 and 3), the header, a Python literal such as `{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28,
/// 28), }`, then the elements. Source: numpy.lib.format, "Format Version 1.0" to "3.0".
struct NPYFile {
    /// Outermost first.
    let extents: [Int]
    /// Row-major.
    private let data: ArraySlice<UInt8>
    private let element: Element
    private let name: String

    private struct Element {
        var size: Int
        var isSigned: Bool
        var isBigEndian: Bool

        init?(_ descr: some StringProtocol) {
            guard let order = descr.first, "|<>=".contains(order), let kind = descr.dropFirst().first,
                "ui".contains(kind), let size = Int(descr.dropFirst(2)), [1, 2, 4, 8].contains(size)
            else { return nil }
            self.size = size
            isSigned = kind == "i"
            isBigEndian = order == ">"
        }
    }

    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    private static let maximumHeaderCount = 65536

    /// - Parameters:
    ///   - name: for messages.
    ///   - dimensions: how many there must be.
    /// - Throws: `.badData` with a sentence that names the file.
    init(_ contents: [UInt8], name: String, dimensions: Int) throws(TrainingError) {
        func unusable(_ what: String) -> TrainingError { TrainingError(.badData, "\(name) is not usable: \(what)") }
        guard contents.starts(with: Self.magic), contents.count >= 12 else { throw unusable("it is no .npy file") }
        let lengthCount = contents[6] == 1 ? 2 : 4
        guard (1...3).contains(contents[6]) else { throw unusable("it is .npy of version \(contents[6])") }
        let length = contents[8..<(8 + lengthCount)].reversed().reduce(0) { $0 << 8 | Int($1) }
        let start = 8 + lengthCount + length
        guard length <= Self.maximumHeaderCount, start <= contents.count else {
            throw unusable("its header promises \(length) bytes")
        }
        let text = String(decoding: contents[(8 + lengthCount)..<start], as: UTF8.self)
        guard let descr = Self.value(of: "descr", in: text), let order = Self.value(of: "fortran_order", in: text),
            let shape = Self.value(of: "shape", in: text)
        else { throw unusable("its header is \(text.prefix(120))") }
        guard let element = Element(descr.filter { $0 != "'" && $0 != "\"" }) else {
            throw unusable("its elements are \(descr.prefix(40)); whole numbers such as uint8 are read")
        }
        guard order == "False" else { throw unusable("it is in Fortran order: numpy.ascontiguousarray changes that") }
        guard let extents = Self.extents(shape), extents.count == dimensions else {
            throw unusable("its shape is \(shape.prefix(60)); it must have \(dimensions) dimensions")
        }
        data = contents[start...]
        var size = element.size
        for extent in extents {
            let product = size.multipliedReportingOverflow(by: extent)
            guard !product.overflow else { throw unusable("its shape is \(shape.prefix(60))") }
            size = product.partialValue
        }
        guard size == data.count else {
            throw unusable("its header promises \(size) bytes of data, it has \(data.count)")
        }
        self.extents = extents
        self.element = element
        self.name = name
    }

    /// The elements as bytes.
    ///
    /// - Throws: `.badData` when one is not from 0 to 255.
    func bytes() throws(TrainingError) -> ArraySlice<UInt8> {
        if element.size == 1, !element.isSigned { return data }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count / element.size)
        var place = data.startIndex
        while place < data.endIndex {
            let part = data[place..<(place + element.size)]
            let low = element.isBigEndian ? part.last : part.first
            let rest = element.isBigEndian ? part.dropLast() : part.dropFirst()
            guard let low, rest.allSatisfy({ $0 == 0 }), element.size > 1 || low < 128 else {
                throw TrainingError(
                    .badData, "\(name) is not usable: element \(bytes.count) is not a whole number from 0 to 255")
            }
            bytes.append(low)
            place += element.size
        }
        return bytes[...]
    }

    // MARK: The header

    /// What stands behind a key of the literal, up to its comma; a tuple to its closing bracket.
    private static func value(of key: String, in text: String) -> Substring? {
        guard let place = ["'", "\""].lazy.compactMap({ text.range(after: "\($0)\(key)\($0)") }).first else {
            return nil
        }
        var rest = text[place...].drop { $0 == " " }
        guard rest.first == ":" else { return nil }
        rest = rest.dropFirst().drop { $0 == " " }
        if rest.first == "(" {
            guard let end = rest.firstIndex(of: ")") else { return nil }
            return rest[rest.index(after: rest.startIndex)..<end]
        }
        return rest.prefix { $0 != "," && $0 != "}" && $0 != " " }
    }

    /// `60000, 28, 28`, or `60000,`.
    private static func extents(_ text: Substring) -> [Int]? {
        var parts = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        if parts.last == "" { parts.removeLast() }
        let extents = parts.compactMap { Int($0) }.filter { $0 >= 0 }
        return extents.count == parts.count ? extents : nil
    }
}

extension String {
    /// Where a text ends for the first time; nil where it does not stand.
    fileprivate func range(after text: String) -> Index? {
        var place = startIndex
        while place < endIndex {
            if self[place...].hasPrefix(text) { return index(place, offsetBy: text.count) }
            place = index(after: place)
        }
        return nil
    }
}
