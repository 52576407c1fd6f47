import CSystem
import Glibc
import Synchronization

/// A fixed number of threads that work through numbered chunks together.
///
/// Which thread takes which chunk depends on timing, so a chunk's result must not depend on the thread: then the
/// result of a run is the same for every thread count. Used from one thread at a time.
public final class ThreadPool {
    /// The calling thread counts as one.
    public let threadCount: Int
    private let shared: Shared
    private var threads: [pthread_t] = []

    /// - Parameter threadCount: 1 … 256; threads that the system refuses are done without.
    public init(threadCount: Int) {
        let wanted = min(max(1, threadCount), 256)
        let shared = Shared()
        for index in 1..<max(1, wanted) {
            var thread = pthread_t()
            let start = Unmanaged.passRetained(WorkerStart(shared: shared, index: index))
            let status = pthread_create(&thread, nil, workerMain, start.toOpaque())
            guard status == 0 else {
                start.release()
                break
            }
            threads.append(thread)
        }
        self.shared = shared
        self.threadCount = threads.count + 1
    }

    deinit {
        shared.publish { $0.isStopping = true }
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Calls `body(chunk, thread)` once for each chunk in 0 ..< chunkCount and returns when all are done.
    ///
    /// `body` runs on several threads at once: it must write to disjoint memory for different chunks, and to scratch
    /// memory only at its own `thread` in 0 ..< threadCount.
    public func run(_ chunkCount: Int, _ body: (_ chunk: Int, _ thread: Int) -> Void) {
        if threads.isEmpty || chunkCount <= 1 {
            for chunk in 0..<chunkCount { body(chunk, 0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            shared.nextChunk.store(0, ordering: .relaxed)
            shared.busyWorkers.store(threads.count, ordering: .relaxed)
            shared.publish {
                $0.body = body
                $0.chunkCount = chunkCount
            }
            shared.work(body, chunkCount, thread: 0)
            shared.waitUntilIdle()
            shared.forgetBody()
        }
    }
}

/// What the threads share. `@unchecked Sendable`: `job` is written only by `publish` and `forgetBody` while every
/// worker is idle (`busyWorkers` is 0 or the generation has not been raised), and read by a worker only after it has
/// seen the raised generation (release/acquire); the mutex and the conditions are made for sharing.
private final class Shared: @unchecked Sendable {
    struct Job {
        var body: ((Int, Int) -> Void)?
        var chunkCount = 0
        var isStopping = false
    }

    /// About 50 µs of spinning: regions of a training step follow each other faster than a sleeping thread wakes.
    static let spinLimit = 2000

    private var job = Job()
    private let generation = Atomic<Int>(0)
    let nextChunk = Atomic<Int>(0)
    let busyWorkers = Atomic<Int>(0)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let idle = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
        pthread_cond_init(idle, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(changed)
        pthread_cond_destroy(idle)
        mutex.deallocate()
        changed.deallocate()
        idle.deallocate()
    }

    func publish(_ change: (inout Job) -> Void) {
        change(&job)
        pthread_mutex_lock(mutex)
        generation.add(1, ordering: .releasing)
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    func forgetBody() { job.body = nil }

    func work(_ body: (Int, Int) -> Void, _ chunkCount: Int, thread: Int) {
        while true {
            let chunk = nextChunk.add(1, ordering: .relaxed).oldValue
            guard chunk < chunkCount else { return }
            body(chunk, thread)
        }
    }

    func waitUntilIdle() {
        for _ in 0..<Self.spinLimit {
            if busyWorkers.load(ordering: .acquiring) == 0 { return }
            trainyard_cpu_relax()
        }
        pthread_mutex_lock(mutex)
        while busyWorkers.load(ordering: .acquiring) != 0 { pthread_cond_wait(idle, mutex) }
        pthread_mutex_unlock(mutex)
    }

    /// The next job after `seen`.
    private func nextJob(after seen: Int) -> Int {
        for _ in 0..<Self.spinLimit {
            let current = generation.load(ordering: .acquiring)
            if current != seen { return current }
            trainyard_cpu_relax()
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            let current = generation.load(ordering: .acquiring)
            if current != seen { return current }
            pthread_cond_wait(changed, mutex)
        }
    }

    /// A function of its own, so that the worker holds no reference to the body when it reports itself idle.
    @inline(never)
    private func performJob(thread: Int) {
        if let body = job.body { work(body, job.chunkCount, thread: thread) }
    }

    func serve(thread: Int) {
        var seen = 0
        while true {
            seen = nextJob(after: seen)
            if job.isStopping { return }
            performJob(thread: thread)
            if busyWorkers.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_signal(idle)
                pthread_mutex_unlock(mutex)
            }
        }
    }
}

private final class WorkerStart {
    let shared: Shared
    let index: Int

    init(shared: Shared, index: Int) {
        self.shared = shared
        self.index = index
    }
}

private func workerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<WorkerStart>.fromOpaque(argument).takeRetainedValue()
    start.shared.serve(thread: start.index)
    return nil
}
