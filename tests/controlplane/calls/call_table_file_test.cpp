// SPDX-License-Identifier: Apache-2.0
//
// The mapped table of calls and its copy: kept when it fits, refused whole when anything differs.
#include "calls/call_table_backup.hpp"
#include "calls/call_table_file.hpp"
#include "control_desk.hpp"
#include "own_table.hpp"

#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace viaduct::test {

namespace {

using std::chrono::seconds;
constexpr SteeringSecret kSecret{7};
constexpr std::uint64_t kHash = 0x0123'4567'89ab'cdef;
constexpr CallTableFile::Shape kShape{std::size_t{1} << 22, seconds(15), 77, 42};

struct Folder {
    std::string path = testing::TempDir() + "calls" + std::to_string(getpid());
    Folder() { mkdir(path.c_str(), 0700); }
    ~Folder() {
        for (const char* name : {"/calls", "/other", "/calls.copy"})
            unlink((path + name).c_str());
        rmdir(path.c_str());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string calls() const { return path + "/calls"; }
    [[nodiscard]] std::string copy() const { return path + "/calls.copy"; }
};

Call some_call(const CallTableFile& store, std::uint16_t units = 100) {
    return {BackendId{3}, CallState::Answered, 5, store.now().after(units)};
}
void leave_a_call(const std::string& path) {
    const CallTableFile store(path, kShape);
    ASSERT_EQ(store.table().words(), kShape.words);
    CallTable table = store.table();
    std::ignore = table.remember(kHash, some_call(store), store.now());
}
bool knows_it(const CallTableFile& store) {
    return store.table().find(kHash, store.now()).has_value();
}
void put(const std::string& path, off_t at, char byte) {
    const int fd = open(path.c_str(), O_RDWR);
    ASSERT_EQ(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}
/// Changes one byte.
void damage(const std::string& path, off_t at) {
    const int fd = open(path.c_str(), O_RDWR);
    char byte = 0;
    ASSERT_EQ(pread(fd, &byte, 1, at), 1);
    close(fd);
    put(path, at, static_cast<char>(byte ^ 0x20));
}
off_t size_of(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 ? status.st_size : -1;
}

TEST(CallTableFile, KeepsWhatAnotherProcessRemembered) {
    const Folder folder;
    leave_a_call(folder.calls());
    const CallTableFile store(folder.calls(), kShape);
    EXPECT_TRUE(store.was_kept());
    EXPECT_EQ(store.refusal(), "");
    EXPECT_TRUE(knows_it(store));
}

TEST(CallTableFile, ANewTableDoesNoHarmToWhoHasTheOldOneMapped) {
    const Folder folder;
    const CallTableFile old(folder.calls(), kShape);
    CallTableFile::Shape other = kShape;
    ++other.secret_fingerprint;
    const CallTableFile store(folder.calls(), other);
    EXPECT_EQ(store.refusal(), "written with a different secret");
    CallTable table = old.table();
    std::ignore = table.remember(kHash, some_call(old), old.now()); // SIGBUS, were it cut
    EXPECT_TRUE(knows_it(old));
    EXPECT_FALSE(knows_it(store));
}

TEST(CallTableFile, RefusesWhatIsOfOtherSettings) {
    const std::pair<const char*, std::function<void(CallTableFile::Shape&)>> changes[] = {
        {"a different secret", [](CallTableFile::Shape& shape) { ++shape.secret_fingerprint; }},
        {"another state file", [](CallTableFile::Shape& shape) { ++shape.lineage; }},
        {"a different size (steering.calls)",
         [](CallTableFile::Shape& shape) { shape.words *= 2; }},
        {"a different call_lifetime",
         [](CallTableFile::Shape& shape) { shape.unit = seconds(16); }},
    };
    for (const auto& [reason, change] : changes) {
        const Folder folder;
        leave_a_call(folder.calls());
        CallTableFile::Shape other = kShape;
        change(other);
        {
            const CallTableFile store(folder.calls(), other);
            EXPECT_FALSE(store.was_kept()) << reason;
            EXPECT_NE(store.refusal().find(reason), std::string::npos) << store.refusal();
            EXPECT_FALSE(knows_it(store)) << reason;
        }
        const CallTableFile store(folder.calls(), other);
        EXPECT_TRUE(store.was_kept()) << "made anew for the next one";
    }
}

/// The words of each of these lie in other places, or say something else.
TEST(CallTableFile, RefusesTheLayoutsOfEarlierBuilds) {
    const Folder folder;
    for (const char layout : {'\1', '\2', '\3'}) {
        leave_a_call(folder.calls());
        put(folder.calls(), 8, layout); // behind "vdcalls\n"
        const CallTableFile store(folder.calls(), kShape);
        EXPECT_EQ(store.refusal(), "written by another version") << int{layout};
        EXPECT_FALSE(knows_it(store)) << int{layout};
    }
}

TEST(CallTableFile, RefusesAHeaderDamagedAnywhere) {
    const Folder folder;
    constexpr off_t kHeader = 8 + 4 + 4 + 8 + 8 + 36 + 4 + 8; // boot ids have 36 letters
    for (off_t at = 0; at < kHeader; ++at) {
        leave_a_call(folder.calls());
        damage(folder.calls(), at);
        const CallTableFile store(folder.calls(), kShape);
        ASSERT_FALSE(store.was_kept()) << at;
        ASSERT_FALSE(store.refusal().empty()) << at;
        ASSERT_FALSE(knows_it(store)) << at;
    }
}

TEST(CallTableFile, RefusesWhatIsCutShortOrTooLong) {
    const Folder folder;
    leave_a_call(folder.calls());
    const off_t whole = size_of(folder.calls());
    for (const off_t size : {off_t{1}, off_t{20}, off_t{4096}, whole - 1, whole + 4096}) {
        ASSERT_EQ(truncate(folder.calls().c_str(), size), 0);
        const CallTableFile store(folder.calls(), kShape);
        EXPECT_EQ(store.refusal(), "truncated") << size;
        EXPECT_EQ(size_of(folder.calls()), whole) << size;
    }
}

/// A copy with one call, and another store to load it into.
struct Copied {
    Folder folder;
    CallTableFile store{folder.calls(), kShape};
    CallTableBackup::WallTime saved{seconds(1'700'000'000)};
    Copied() {
        CallTable table = store.table();
        std::ignore = table.remember(kHash, some_call(store), store.now());
        CallTableBackup(folder.path, kSecret, 42, store).save(saved);
    }
    std::string load(CallTableFile& into, std::uint64_t lineage = 42, seconds age = {}) const {
        return CallTableBackup(folder.path, kSecret, lineage, into).load(saved + age);
    }
};

TEST(CallSweeper, MarksTheSlotOfACallThatBeganByTheHashOfThen) {
    constexpr PoolId kPool{0};
    ControlDesk desk;
    desk.all_up();
    OwnTable own(std::size_t{1} << 17);
    CallSweeper sweeper(own.table, desk.publisher);
    const CallTime now(100);
    const auto slots = desk.publisher.current()->pools[0].slots;
    const std::uint64_t hash = 0x0123'4567'89ab'cdef;
    const std::uint32_t slot = slot_of(hash);
    const BackendId owner = (*slots)[slot];
    std::ignore = own.table.remember(hash, {owner, CallState::Answered, 5, now.after(500)}, now);
    sweep(sweeper, now);
    EXPECT_FALSE(desk.publisher.marks(kPool).contains(slot)) << "it is where the hash says";

    desk.model.set_admin(owner, Admin::Drain, "");
    desk.publisher.switch_at_once(kPool);
    static_cast<void>(desk.publisher.build(desk.model));
    ASSERT_NE((*desk.publisher.current()->pools[0].slots)[slot], owner);
    sweep(sweeper, now);
    EXPECT_TRUE(desk.publisher.marks(kPool).contains(slot)) << "nobody has touched it since";
    // However many generations follow until the one that it began in is forgotten.
    TimePoint at = Clock::now();
    for (std::size_t i = 0; i < Generations::kMost + 6; ++i) {
        const auto other = static_cast<BackendId>((index(owner) + 1 + i % 2) % 3);
        desk.model.set_health(other, Health::Down, "", at);
        static_cast<void>(desk.publisher.build(desk.model, at));
        desk.model.set_health(other, Health::Up, "", at);
        desk.publisher.switch_at_once(kPool);
        static_cast<void>(desk.publisher.build(desk.model, at += seconds(100)));
        sweep(sweeper, now);
    }
    EXPECT_GT(desk.publisher.generations(kPool).capped(), 0U);
    SipDigest digest;
    digest.kind = PayloadKind::Request;
    digest.method = Method::Bye;
    digest.from_tag = "a";
    digest.to_tag = "b";
    digest.has_to_tag = true;
    const Steering steering =
        steer({*desk.publisher.current(), own.table, now}, kPool, digest, hash);
    EXPECT_EQ(steering.backend, owner);
    EXPECT_NE(steering.slot_state, SlotState::Settled);
    const std::shared_ptr<SlotMarks>& marks = desk.publisher.current()->pools[index(kPool)].marks;
    ASSERT_TRUE(marks) << "the workers have them";
    EXPECT_TRUE(marks->contains(steering.slot));
    EXPECT_TRUE(desk.publisher.marks(kPool).contains(steering.slot));
}

TEST(CallTableBackup, BringsCallsBackWithWhatIsLeftOfTheirTime) {
    const Copied copied;
    for (const int age : {0, 15, 15 * 100, 15 * 101, 86'400 * 30}) {
        unlink((copied.folder.path + "/other").c_str());
        CallTableFile other(copied.folder.path + "/other", kShape);
        EXPECT_EQ(copied.load(other, 42, seconds(age)), "");
        const std::optional<Call> call = other.table().find(kHash, other.now());
        ASSERT_EQ(call.has_value(), age <= 15 * 100) << age;
        if (!call) continue;
        EXPECT_EQ(call->backend, BackendId{3});
        EXPECT_EQ(call->state, CallState::Answered);
        EXPECT_EQ(call->dialog, 5);
        EXPECT_NEAR(call->deadline.left(other.now()), 100 - age / 15, 1) << age;
    }
}

TEST(CallTableFile, ForgetsAllWhenDeadlinesHaveWrappedAround) {
    const std::uint64_t start = 1'000'000;
    const auto unit = static_cast<std::uint64_t>(kShape.unit.count());
    for (const std::uint64_t away :
         {std::uint64_t{100}, std::uint64_t{1'100}, std::uint64_t{1'900}}) {
        const Folder folder;
        CallTime deadline;
        {
            CallTableFile store(folder.calls(), kShape);
            CallTable table = store.table();
            const CallTime now = store.tick(start);
            deadline = now.after(50);
            std::ignore =
                table.remember(kHash, Call{BackendId{3}, CallState::Answered, 5, deadline}, now);
            EXPECT_TRUE(table.find(kHash, store.tick(start + 50 * unit)));
        } // killed, and begun again long after; or asleep all the time
        CallTableFile store(folder.calls(), kShape);
        EXPECT_TRUE(store.was_kept());
        const CallTime now = store.tick(start + (50 + away) * unit);
        EXPECT_FALSE(store.table().find(kHash, now)) << away << " units later";
    }
}

TEST(CallTableFile, HasAllOfItsMemoryFromTheStart) {
    const Folder folder;
    const CallTableFile store(folder.calls(), kShape);
    struct stat status {};
    ASSERT_EQ(stat(folder.calls().c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, status.st_size);
    // Holes of one that was kept are filled, too.
    ASSERT_EQ(truncate(folder.calls().c_str(), 4096), 0);
    ASSERT_EQ(truncate(folder.calls().c_str(), status.st_size), 0);
    const CallTableFile kept(folder.calls(), kShape);
    EXPECT_TRUE(kept.was_kept());
    ASSERT_EQ(stat(folder.calls().c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, status.st_size);
}

TEST(CallTableBackup, IsRefusedWholeWhenItIsDamagedAnywhere) {
    const Copied copied;
    CallTableFile other(copied.folder.path + "/other", kShape);
    const off_t size = size_of(copied.folder.copy());
    ASSERT_GT(size, 0);
    ASSERT_LT(size, 200) << "one call takes little";
    for (off_t at = 0; at < size; ++at) {
        damage(copied.folder.copy(), at);
        EXPECT_NE(copied.load(other), "") << at;
        EXPECT_FALSE(knows_it(other)) << at;
        damage(copied.folder.copy(), at); // and back
    }
    EXPECT_NE(copied.load(other, 43), "") << "belong to another state file";
    put(copied.folder.copy(), 6, '2'); // behind "vdcopy": an earlier build's
    EXPECT_NE(copied.load(other).find("written by another version"), std::string::npos);
    put(copied.folder.copy(), 6, '3');
    EXPECT_EQ(copied.load(other), "");
    EXPECT_TRUE(knows_it(other));
    for (off_t cut = size - 1; cut >= 0; --cut) {
        ASSERT_EQ(truncate(copied.folder.copy().c_str(), cut), 0);
        EXPECT_NE(copied.load(other), "") << cut;
        EXPECT_FALSE(knows_it(other));
    }
}

TEST(CallTableBackup, HoldsEveryCallOfALargeTable) {
    const Copied copied;
    CallTable table = copied.store.table();
    std::uint64_t hash = kHash;
    std::vector<std::uint64_t> hashes;
    for (int i = 0; i < 100'000; ++i) {
        hash = hash * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
        hashes.push_back(hash);
        std::ignore = table.remember(hash, some_call(copied.store), copied.store.now());
    }
    CallTableFile from(copied.folder.calls(), kShape);
    CallTableBackup(copied.folder.path, kSecret, 42, from).save(copied.saved);
    CallTableFile other(copied.folder.path + "/other", kShape);
    ASSERT_EQ(copied.load(other), "");
    for (const std::uint64_t one : hashes)
        ASSERT_TRUE(other.table().find(one, other.now()));
}

} // namespace

} // namespace viaduct::test
