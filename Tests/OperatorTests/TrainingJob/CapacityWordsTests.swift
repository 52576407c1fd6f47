import Testing

@testable import Operator

@Suite struct CapacityWordsTests {
    @Test(arguments: [
        (
            "Google Compute Engine: Not all instances running in IGM after 35m6.4s. Expected 1, running 0, transitioning 1. "
                + "Current errors: [GCE_STOCKOUT]: Instance 'gke-c-ty-1a2b-0' creation failed: The zone "
                + "'projects/p/zones/us-central1-a' does not have enough resources available to fulfill the request. Try a "
                + "different zone, or try again later.",
            "The zone 'us-central1-a' does not have enough resources available to fulfill the request. Try a different "
                + "zone, or try again later."
        ),
        (
            "Insufficient quota to satisfy the request: Not all instances running in IGM after 12s. Current errors: "
                + "[GCE_QUOTA_EXCEEDED]: Instance 'i' creation failed: Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 "
                + "globally.", "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally."
        ),
        ("g2-standard-4", "g2-standard-4"), ("", ""), ("Current errors: ", "Current errors: "),
        ("The project 'projects/p' is not there", "The project 'projects/p' is not there"),
        ("'projects/p/zones/z' is full", "'z' is full"),
    ])
    func `the reason is kept, and not what goes before it`(_ message: String, _ essence: String) {
        #expect(CapacityWords.essence(of: message) == essence)
    }
}
