import GoogleCloud
import Testing

@testable import Operator

/// The judgement alone.
@Suite struct LeakSweepTests {
    private static func pool(
        _ name: String, owner: String? = "gone", cluster: String = "cluster-uid", cost: Int64? = nil,
        status: NodePoolStatus = .running
    ) -> LeakSweep.Pool? {
        var labels = [Ownership.clusterLabel: cluster, Ownership.googleRunLabel: "r1"]
        if let owner { labels[Ownership.ownerLabel] = owner }
        let pool = NodePool(name: name, config: NodeConfig(machineType: "g2-standard-4"), status: status)
        var labelled = pool
        labelled.config?.resourceLabels = labels
        return LeakSweep.Pool(
            labelled, clusterUID: "cluster-uid", hourlyCost: cost.map { Money(microdollars: $0) })
    }

    private static func names(_ pools: [LeakSweep.Pool]) -> [String] { pools.map(\.name) }

    @Test func `only what carries this cluster's label and an owner's is looked at`() {
        #expect(Self.pool("a") != nil)
        #expect(Self.pool("a", owner: nil) == nil)
        #expect(Self.pool("a", owner: "") == nil)
        #expect(Self.pool("a", cluster: "another") == nil)
        #expect(LeakSweep.Pool(NodePool(name: "ty-x"), clusterUID: "cluster-uid", hourlyCost: nil) == nil)
        #expect(
            LeakSweep.Pool(
                NodePool(name: "a", config: NodeConfig(machineType: "m", resourceLabels: [Ownership.ownerLabel: "x"])),
                clusterUID: "", hourlyCost: nil) == nil)
    }

    @Test func `a pool without an owner is deleted after the grace period, and not before`() throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .seconds(600)))
        let pools = try [#require(Self.pool("a", cost: 700_000)), #require(Self.pool("b", owner: "live"))]
        let first = sweep.judge(pools, owners: ["live"], now: .seconds(0))
        #expect(Self.names(first.leaks) == ["a"])
        #expect(Self.names(first.new) == ["a"])
        #expect(first.deletions == [])
        #expect(first.hourlyCost == Money(microdollars: 700_000))
        let second = sweep.judge(pools, owners: ["live"], now: .seconds(599))
        #expect(second.new == [])
        #expect(second.deletions == [])
        #expect(Self.names(sweep.judge(pools, owners: ["live"], now: .seconds(600)).deletions) == ["a"])
    }

    @Test func `an owner that is seen again begins the grace period anew`() throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .seconds(600)))
        let pools = [try #require(Self.pool("a"))]
        _ = sweep.judge(pools, owners: [], now: .seconds(0))
        #expect(sweep.judge(pools, owners: ["gone"], now: .seconds(300)).leaks == [])
        let again = sweep.judge(pools, owners: [], now: .seconds(700))
        #expect(Self.names(again.new) == ["a"])
        #expect(again.deletions == [])
    }

    @Test func `a pool of the same name with another owner is another leak`() throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .seconds(600)))
        _ = sweep.judge([try #require(Self.pool("a", owner: "one"))], owners: [], now: .seconds(0))
        let verdict = sweep.judge([try #require(Self.pool("a", owner: "two"))], owners: [], now: .seconds(900))
        #expect(Self.names(verdict.new) == ["a"])
        #expect(verdict.deletions == [])
    }

    @Test func `what is being deleted already is a leak until it is gone, and asked for no more`() throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .zero))
        let verdict = sweep.judge(
            [try #require(Self.pool("a", status: .stopping))], owners: [], now: .seconds(0))
        #expect(Self.names(verdict.leaks) == ["a"])
        #expect(verdict.deletions == [])
    }

    @Test func `no more than the limit go in an hour, the others later`() throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .zero, deletionsPerHour: 2))
        let pools = try ["a", "b", "c"].map { try #require(Self.pool($0)) }
        let first = sweep.judge(pools, owners: [], now: .seconds(0))
        #expect(Self.names(first.deletions) == ["a", "b"])
        #expect(first.postponedCount == 1)
        for _ in first.deletions { sweep.deleted(now: .seconds(0)) }
        #expect(sweep.judge([pools[2]], owners: [], now: .seconds(3599)).deletions == [])
        #expect(Self.names(sweep.judge([pools[2]], owners: [], now: .seconds(3600)).deletions) == ["c"])
    }

    @Test(arguments: [LeakSweepOptions.Mode.dryRun, .off]) func `a dry run deletes nothing`(
        mode: LeakSweepOptions.Mode
    ) throws {
        var sweep = LeakSweep(options: LeakSweepOptions(grace: .zero, mode: mode))
        let verdict = sweep.judge([try #require(Self.pool("a"))], owners: [], now: .seconds(0))
        #expect(Self.names(verdict.leaks) == ["a"])
        #expect(verdict.deletions == [])
    }
}
