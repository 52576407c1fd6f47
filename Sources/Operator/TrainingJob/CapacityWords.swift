/// What is worth knowing of Google's sentences about capacity, for places with little room.
enum CapacityWords {
    /// The reason without what goes before it: of "Google Compute Engine: Not all instances running in IGM after 35m6s.
    /// Expected 1, running 0, transitioning 1. Current errors: [GCE_STOCKOUT]: Instance 'gke-…' creation failed: The zone
    /// 'projects/p/zones/z' does not have enough resources …" what begins with "The zone 'z'". Other messages stay whole.
    static func essence(of message: String) -> String {
        var text = message[...]
        for marker in ["Current errors: ", "creation failed: "] {
            guard let range = text.firstRange(of: marker), range.upperBound < text.endIndex else { continue }
            text = text[range.upperBound...]
        }
        // The full name of a zone holds the project and nothing that the ledger does not say.
        guard let start = text.firstRange(of: "'projects/"),
            let zones = text[start.upperBound...].firstRange(of: "/zones/"),
            !text[start.upperBound..<zones.lowerBound].contains("'")
        else { return String(text) }
        return "\(text[..<start.lowerBound])'\(text[zones.upperBound...])"
    }
}
