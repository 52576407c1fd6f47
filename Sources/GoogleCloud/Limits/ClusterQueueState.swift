/// Who may change a cluster next: one at a time, owners by turns, within an owner in the order of coming. Times are
/// uptime.
struct ClusterQueueState: Sendable {
    /// What a waiting call does.
    enum Answer: Sendable, Hashable {
        case go
        /// Until woken, but not longer than this.
        case wait(Duration)
        case refuse
    }

    private struct Waiter: Sendable {
        let id: Int
        let owner: String
        let deadline: Duration
    }

    private let settings: LimitSettings.Cluster
    /// In the order of coming.
    private var waiters: [Waiter] = []
    /// Owners who wait, the next one first.
    private var turns: [String] = []
    private var isBusy = false
    private var restUntil: Duration = .zero

    init(_ settings: LimitSettings.Cluster) { self.settings = settings }

    /// Whether it is like a new one.
    func isIdle(now: Duration) -> Bool { !isBusy && waiters.isEmpty && now >= restUntil }

    /// A call comes.
    mutating func enter(_ id: Int, owner: String, now: Duration) -> Answer {
        guard waiters.count < settings.waiting,
            waiters.count(where: { $0.owner == owner }) < settings.waitingPerOwner
        else { return .refuse }
        waiters.append(Waiter(id: id, owner: owner, deadline: now + settings.longestWait))
        if !turns.contains(owner) { turns.append(owner) }
        return look(id, now: now)
    }

    /// A waiting call was woken, or its time is over.
    mutating func look(_ id: Int, now: Duration) -> Answer {
        guard let waiter = waiters.first(where: { $0.id == id }) else { return .refuse }
        if !isBusy, now >= restUntil, isNext(waiter) {
            isBusy = true
            turns.removeAll { $0 == waiter.owner }
            turns.append(waiter.owner)
            remove(id)
            return .go
        }
        guard now < waiter.deadline else {
            remove(id)
            return .refuse
        }
        let rest = isBusy || now >= restUntil ? waiter.deadline : min(restUntil, waiter.deadline)
        return .wait(rest - now)
    }

    /// A waiting call gives up.
    mutating func leave(_ id: Int) { remove(id) }

    /// The call that went is done.
    ///
    /// - Parameter isOccupied: the cluster said that an operation is running.
    mutating func finished(isOccupied: Bool, now: Duration) {
        isBusy = false
        if isOccupied { restUntil = max(restUntil, now + settings.rest) }
    }

    private func isNext(_ waiter: Waiter) -> Bool {
        turns.first == waiter.owner && waiters.first { $0.owner == waiter.owner }?.id == waiter.id
    }

    private mutating func remove(_ id: Int) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        let owner = waiters.remove(at: index).owner
        if !waiters.contains(where: { $0.owner == owner }) { turns.removeAll { $0 == owner } }
    }
}
