import Encoding
import Testing

@testable import Operator

@Suite struct NamingTests {
    @Test func `node pool names are short, valid and distinct`() {
        var names: Set<String> = []
        for run in [1, 2, 9999] {
            for candidate in ["spot", "on-demand", String(repeating: "c", count: 63)] {
                for zone in ["us-central1-a", "us-central1-b", "northamerica-northeast1-a"] {
                    let name = Naming.nodePool(uid: uid, run: run, candidate: candidate, zone: zone)
                    #expect(name.utf8.count <= 40)
                    #expect(name.wholeMatch(of: /[a-z]([-a-z0-9]*[a-z0-9])?/) != nil)
                    #expect(name.wholeMatch(of: /ty-[0-9a-f]{16}-.*/) != nil)
                    names.insert(name)
                    let last = Naming.nodePool(uid: uid, run: run, candidate: candidate, zone: zone, slice: 63)
                    #expect(last.utf8.count <= 40 && last.hasSuffix("-63"))
                    names.insert(last)
                }
            }
        }
        #expect(names.count == 54)
    }

    @Test func `a pod's host name fits a DNS label`() {
        let job = String(repeating: "j", count: 40)
        let runID = Naming.runID(job: job, uid: uid, number: 9999)
        #expect(runID == job + "-a1b2c-r9999")
        #expect("\(Naming.attemptJob(runID: runID, attempt: 99))-999".utf8.count <= 63)
    }

    @Test func `the full resource name has no scheme`() {
        #expect(
            Naming.externalReference(nodePool: "ty-1", in: configuration().cluster)
                == "//container.googleapis.com/projects/test-project/locations/us-central1/clusters/test/nodePools/ty-1"
        )
    }
}

@Suite struct SpecHashTests {
    private func hash(_ change: (inout TrainingJob.Spec) -> Void) -> String {
        SpecHash.hash(RunSpec(trainingJob(change).spec))
    }

    @Test func `live fields do not count`() {
        let base = hash { _ in }
        #expect(base == hash { $0.suspend = true })
        #expect(base == hash { $0.capacity = nil })
        #expect(base == hash { $0.failurePolicy = .init(maxRestarts: 9) })
        #expect(base == hash { $0.cleanup = .standard })
        #expect(base == hash { $0.runtimeLimitSeconds = 60 })
        #expect(base == hash { $0.onSpecChange = .reject })
    }

    @Test func `run-relevant fields count`() {
        let hashes = [
            hash { _ in }, hash { $0.rerunToken = "2" }, hash { $0.trainer?.args = ["x"] },
            hash { $0.accelerator?.gpu?.count = 2 }, hash { $0.inputs = nil }, hash { $0.checkpoint = nil },
            hash { $0.outputs = nil }, hash { $0.outputs?.required?[0].minBytes = 2 },
            hash { $0.backend.gke = .init(nodePool: .init(policy: .createPerRun, bootDisk: .init(sizeGiB: 200))) },
        ]
        #expect(Set(hashes).count == hashes.count)
    }

    @Test func `a written default is no change`() {
        #expect(hash { _ in } == hash { $0.trainer?.numNodes = 1 })
        #expect(hash { _ in } == hash { $0.backend.gke = .init(nodePool: .init(policy: .createPerRun)) })
        #expect(hash { $0.trainer = nil } == hash { $0.trainer = .init(terminationGracePeriodSeconds: 25) })
    }

    @Test func `the hash is pinned`() {
        // A change here reruns every finished job of every user: it needs a new hash version.
        #expect(hash { _ in } == "v1:sha256:c8e2e892fe7ac5877dfd8403a44427785c73c81ce9dcf593b7f67692e535e7f2")
    }
}
