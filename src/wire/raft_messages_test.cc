// Raft messages cross the wire as the core said them, and nothing else is taken for one.
#include "wire/raft_messages.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "wire/frame.h"
#include "wire/handshake.h"

namespace kvstore::wire {
namespace {

using raft::ConfState;
using raft::Entry;
using raft::EntryKind;
using raft::Message;
using raft::MessageKind;
using raft::SnapshotMeta;

constexpr NodeId kFrom(1);
constexpr NodeId kTo(2);
constexpr auto kLastKind = static_cast<std::uint64_t>(MessageKind::kWakeUp);

Bytes encoded(const Message& message) {
    Bytes bytes;
    encode_raft_message(message, bytes);
    return bytes;
}

// What a receiver gets, with the buffer that its entries are windows into.
struct Decoded {
    std::shared_ptr<Bytes> buffer;
    std::vector<Message> messages;
    Status status;
};
Decoded decoded(ByteView batch) {
    Decoded result;
    result.buffer = std::make_shared<Bytes>(batch);
    result.status =
        decode_raft_messages(result.buffer, *result.buffer, kFrom, kTo, result.messages);
    return result;
}

void expect_same(const Message& got, const Message& said) {
    EXPECT_EQ(got.kind, said.kind);
    EXPECT_EQ(got.group, said.group);
    EXPECT_EQ(got.from, kFrom);
    EXPECT_EQ(got.to, kTo);
    EXPECT_EQ(got.term, said.term);
    EXPECT_EQ(got.log_term, said.log_term);
    EXPECT_EQ(got.index, said.index);
    EXPECT_EQ(got.commit, said.commit);
    EXPECT_EQ(got.commit_term, said.commit_term);
    EXPECT_EQ(got.reject, said.reject);
    EXPECT_EQ(got.transfer, said.transfer);
    EXPECT_EQ(got.hibernate, said.hibernate);
    EXPECT_EQ(got.hint_index, said.hint_index);
    EXPECT_EQ(got.hint_term, said.hint_term);
    EXPECT_EQ(got.read_round, said.read_round);
    EXPECT_EQ(got.read, said.read);
    EXPECT_EQ(got.entries, said.entries);
    ASSERT_EQ(got.snapshot == nullptr, said.snapshot == nullptr);
    if (got.snapshot != nullptr) {
        EXPECT_EQ(*got.snapshot, *said.snapshot);
    }
}

// Numbers of all lengths, and zero often.
std::uint64_t number(Random& random) {
    return random.chance(1, 3) ? 0 : random.next() >> random.below(64);
}

std::vector<NodeId> nodes(Random& random) {
    std::set<NodeId> chosen;
    for (std::uint64_t i = random.below(6); i > 0; --i) {
        chosen.insert(NodeId(number(random)));
    }
    return {chosen.begin(), chosen.end()};
}

ConfState conf(Random& random) {
    ConfState state;
    state.voters = nodes(random);
    state.voters_outgoing = nodes(random);
    state.learners = nodes(random);
    state.learners_next = nodes(random);
    state.auto_leave = random.chance(1, 2);
    return state;
}

std::vector<Entry> entries(Random& random, const Message& message) {
    std::vector<Entry> result;
    Term term = message.term;
    Index index = message.index;
    for (std::uint64_t i = random.below(8); i > 0; --i) {
        // Mostly as a log has them, and sometimes as none does.
        term = random.chance(1, 4) ? Term(number(random)) : term;
        index = random.chance(1, 4) ? Index(number(random)) : index.next();
        Bytes data;
        for (std::uint64_t size = random.below(20); size > 0; --size) {
            data.push_back(static_cast<char>(random.next()));
        }
        result.push_back(
            {.term = term,
             .index = index,
             .kind = random.chance(1, 5) ? EntryKind::kConfChange : EntryKind::kCommand,
             .data = raft::Payload::copy_of(data)});
    }
    return result;
}

Message random_message(Random& random) {
    Message message;
    message.kind = static_cast<MessageKind>(random.below(kLastKind + 1));
    message.group = GroupId(number(random));
    message.term = Term(number(random));
    message.log_term = Term(number(random));
    message.index = Index(number(random));
    message.commit = Index(number(random));
    message.commit_term = Term(number(random));
    message.reject = random.chance(1, 2);
    message.transfer = random.chance(1, 2);
    message.hibernate = random.chance(1, 2);
    message.hint_index = Index(number(random));
    message.hint_term = Term(number(random));
    message.read_round = number(random);
    message.read = {.term = Term(number(random)), .sequence = number(random)};
    if (random.chance(1, 2)) {
        message.entries = entries(random, message);
    }
    if (random.chance(1, 4)) {
        message.snapshot =
            std::make_shared<SnapshotMeta>(SnapshotMeta{.index = Index(number(random)),
                                                        .term = Term(number(random)),
                                                        .conf = conf(random),
                                                        .handle = number(random)});
    }
    return message;
}

// An append with two entries, as a leader sends it all day.
Message append() {
    Message message;
    message.kind = MessageKind::kAppend;
    message.group = GroupId(2);
    message.term = Term(5);
    message.log_term = Term(4);
    message.index = Index(300);
    message.commit = Index(299);
    message.entries = {{.term = Term(5),
                        .index = Index(301),
                        .kind = EntryKind::kCommand,
                        .data = raft::Payload::copy_of("hello")},
                       {.term = Term(5),
                        .index = Index(302),
                        .kind = EntryKind::kConfChange,
                        .data = raft::Payload::copy_of("x")}};
    return message;
}

Message snapshot() {
    Message message;
    message.kind = MessageKind::kSnapshot;
    message.group = GroupId(9);
    message.term = Term(7);
    message.snapshot = std::make_shared<SnapshotMeta>(
        SnapshotMeta{.index = Index(1000),
                     .term = Term(6),
                     .conf = {.voters = {NodeId(1), NodeId(2), NodeId(300)},
                              .voters_outgoing = {NodeId(1)},
                              .learners = {NodeId(4)},
                              .learners_next = {NodeId(5), NodeId(6)},
                              .auto_leave = true},
                     .handle = 77});
    return message;
}

TEST(RaftMessages, OfAnyContentCrossTheWireInBatches) {
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        std::vector<Message> said;
        Bytes batch;
        for (std::uint64_t i = random.below(5); i > 0; --i) {
            said.push_back(random_message(random));
            encode_raft_message(said.back(), batch);
        }

        const Decoded got = decoded(batch);

        ASSERT_TRUE(got.status.ok());
        ASSERT_EQ(got.messages.size(), said.size());
        for (std::size_t i = 0; i < said.size(); ++i) {
            expect_same(got.messages[i], said[i]);
        }
    }
}

TEST(RaftMessages, AreAddedToThoseThatAreThere) {
    std::vector<Message> messages(1);
    ASSERT_TRUE(decode_raft_messages(nullptr, encoded(append()), kFrom, kTo, messages).ok());
    EXPECT_EQ(messages.size(), 2U);
}

TEST(RaftMessages, HaveEntriesThatAreWindowsIntoTheBatch) {
    Decoded got = decoded(encoded(append()));
    ASSERT_EQ(got.messages.size(), 1U);
    const std::weak_ptr<Bytes> buffer = got.buffer;
    const ByteView data = got.messages[0].entries[0].data.view();

    EXPECT_GE(data.data(), got.buffer->data());
    EXPECT_LE(data.data() + data.size(), got.buffer->data() + got.buffer->size());

    const raft::Payload kept = got.messages[0].entries[0].data;
    got = Decoded();
    EXPECT_FALSE(buffer.expired()) << "an entry keeps the batch";
    EXPECT_EQ(kept.view(), "hello");
}

TEST(RaftMessages, CostWhatTheySay) {
    Message wake_up;
    wake_up.group = GroupId(1);
    EXPECT_EQ(encoded(wake_up).size(), 4U);

    Message heartbeat;
    heartbeat.kind = MessageKind::kHeartbeat;
    heartbeat.group = GroupId(100);
    heartbeat.term = Term(5);
    heartbeat.commit = Index(100'000);
    EXPECT_EQ(encoded(heartbeat).size(), 7U);

    Message with_entry = append();
    with_entry.entries.pop_back();
    Message without_entry = with_entry;
    without_entry.entries.clear();
    EXPECT_EQ(encoded(with_entry).size() - encoded(without_entry).size(), 1 + 2 + 5 + 1U);
}

TEST(RaftMessages, ThatAreCutShortAreCorrupt) {
    for (const Message& message : {append(), snapshot()}) {
        const Bytes whole = encoded(message);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            EXPECT_EQ(decoded(ByteView(whole).substr(0, size)).status.code(), Code::kCorruption)
                << size;
        }
    }
    EXPECT_TRUE(decoded("").status.ok()) << "a batch of none";
}

TEST(RaftMessages, WithAnyByteReplacedAreReadOrRefused) {
    Bytes whole = encoded(append());
    encode_raft_message(snapshot(), whole);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (unsigned other = 1; other < 256; ++other) {
            Bytes damaged = whole;
            damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ other);
            const Decoded got = decoded(damaged);
            EXPECT_TRUE(got.status.ok() || got.status.code() == Code::kCorruption);
        }
    }
}

TEST(RaftMessages, OfAnUnknownKindOrWithUnknownFieldsAreCorrupt) {
    const auto with = [](std::uint64_t kind, std::uint64_t fields) {
        Bytes bytes;
        bytes.push_back(static_cast<char>(kind));
        for (const std::uint64_t value : {fields, std::uint64_t{1}, std::uint64_t{1}}) {
            put_varint(bytes, value);
        }
        return decoded(bytes).status.code();
    };
    EXPECT_EQ(with(kLastKind, 0), Code::kOk);
    EXPECT_EQ(with(kLastKind + 1, 0), Code::kCorruption);
    EXPECT_EQ(with(kLastKind, 1U << 14U), Code::kCorruption);
}

TEST(RaftMessages, ThatAnnounceMoreThanTheyHoldAreCorrupt) {
    constexpr std::uint64_t kEntries = 1U << 12U;
    const auto with_count = [](std::uint64_t count) {
        Bytes bytes;
        bytes.push_back(static_cast<char>(MessageKind::kAppend));
        for (const std::uint64_t value : {kEntries, std::uint64_t{1}, std::uint64_t{1}, count}) {
            put_varint(bytes, value);
        }
        return bytes;
    };
    EXPECT_EQ(decoded(with_count(0)).status.code(), Code::kCorruption);
    EXPECT_EQ(decoded(with_count(1) + Bytes(2, '\0')).status.code(), Code::kOk);
    EXPECT_EQ(decoded(with_count(2) + Bytes(2, '\0')).status.code(), Code::kCorruption);
    EXPECT_EQ(decoded(with_count(~0ULL) + Bytes(64, '\0')).status.code(), Code::kCorruption);
    const Bytes many(2 * (kRaftEntriesMax + 1), '\0');
    EXPECT_EQ(decoded(with_count(kRaftEntriesMax) + many.substr(2)).status.code(), Code::kOk);
    EXPECT_EQ(decoded(with_count(kRaftEntriesMax + 1) + many).status.code(), Code::kCorruption);
}

TEST(ConfStateBytes, AreReadAsTheyWereWritten) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        const ConfState state = conf(random);
        Bytes bytes;
        encode_conf_state(state, bytes);

        const auto read = decode_conf_state(bytes);
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(*read, state);

        for (std::size_t size = 0; size < bytes.size(); ++size) {
            EXPECT_FALSE(decode_conf_state(ByteView(bytes).substr(0, size)).ok());
        }
        EXPECT_EQ(decode_conf_state(bytes + "x").status().code(), Code::kCorruption);
    }
}

TEST(ConfStateBytes, WithListsThatNoConfigurationHasAreCorrupt) {
    const auto with = [](ByteView bytes) {
        return decode_conf_state(bytes).status().code();
    };
    EXPECT_EQ(with(Bytes("\1\0\2\1\2\0\0\0", 8)), Code::kOk);
    EXPECT_EQ(with(Bytes("\1\0\2\2\1\0\0\0", 8)), Code::kCorruption) << "not sorted";
    EXPECT_EQ(with(Bytes("\1\0\2\1\1\0\0\0", 8)), Code::kCorruption) << "twice the same";
    EXPECT_EQ(with(Bytes("\2\0\2\1\2\0\0\0", 8)), Code::kCorruption) << "a later format";
    EXPECT_EQ(with(Bytes("\1\2\2\1\2\0\0\0", 8)), Code::kCorruption) << "no flag";
}

// Lines of at most 16 bytes, each with its offset.
std::string to_hex(ByteView bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        std::array<char, 16> raw = {};
        std::snprintf(raw.data(), raw.size(), "%06zx ", at);
        text += raw.data();
        for (const char byte : bytes.substr(at, 16)) {
            std::snprintf(raw.data(), raw.size(), " %02x", static_cast<unsigned char>(byte));
            text += raw.data();
        }
        text += '\n';
    }
    return text;
}

// Holds docs/internals/wire.md true: what node 1 says first on a connection to node 2 in protocol
// version 1, for ever.
TEST(WireFormat, VersionOneLooksAsItIsDocumented) {
    const Hello hello = {.version = 1,
                         .version_min = 1,
                         .cluster = 0x0123456789abcdefULL,
                         .node = NodeId(1),
                         .store = 0xfedcba9876543210ULL,
                         .incarnation = 41,
                         .target = NodeId(2),
                         .name = "n1",
                         .address = "n1:7070"};
    Bytes payload;
    encode_hello(hello, payload);
    Bytes bytes;
    append_frame(
        bytes, FrameKind::kHello, static_cast<std::uint16_t>(ConnectionUse::kPeer), 0, payload);
    append_frame(bytes, FrameKind::kMessages, 1, 0, encoded(append()));
    append_frame(bytes, FrameKind::kPing, 0, 1, "");

    const std::string path = std::string(KVSTORE_MODULE_DIR) + "/testdata/connection-v1.hex";
    const std::string written = to_hex(bytes);
    if (std::getenv("KVSTORE_REWRITE") != nullptr) {
        std::ofstream(path) << written;
    }
    std::ifstream file(path);
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(written, golden.str());

    // And the page shows these very bytes.
    std::ifstream page_file(std::string(KVSTORE_MODULE_DIR) + "/../../docs/internals/wire.md");
    std::stringstream page;
    page << page_file.rdbuf();
    std::istringstream lines(written);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_NE(page.str().find(line), std::string::npos) << line;
    }
}

}  // namespace
}  // namespace kvstore::wire
