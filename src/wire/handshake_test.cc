// Two nodes learn who the other is, or that they cannot talk.
#include "wire/handshake.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"

namespace kvstore::wire {
namespace {

Bytes encoded(const Hello& hello) {
    Bytes bytes;
    encode_hello(hello, bytes);
    return bytes;
}

Hello example() {
    return {.version = 3,
            .version_min = 2,
            .cluster = 0x0123456789abcdefULL,
            .node = NodeId(300),
            .store = 0xfedcba9876543210ULL,
            .incarnation = 41,
            .target = NodeId(2),
            .name = "n1",
            .address = "n1.example:7070"};
}

void expect_same(const Hello& a, const Hello& b) {
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.version_min, b.version_min);
    EXPECT_EQ(a.cluster, b.cluster);
    EXPECT_EQ(a.node, b.node);
    EXPECT_EQ(a.store, b.store);
    EXPECT_EQ(a.incarnation, b.incarnation);
    EXPECT_EQ(a.target, b.target);
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.address, b.address);
}

TEST(Hello, IsReadAsItWasSaid) {
    for (const Hello& said : {example(), Hello{}}) {
        const auto read = decode_hello(encoded(said));
        ASSERT_TRUE(read.ok());
        expect_same(*read, said);
    }
}

TEST(Hello, OfALaterVersionMaySayMore) {
    const auto read = decode_hello(encoded(example()) + "and more");
    ASSERT_TRUE(read.ok());
    expect_same(*read, example());
}

TEST(Hello, ThatIsCutShortIsCorrupt) {
    const Bytes whole = encoded(example());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(decode_hello(ByteView(whole).substr(0, size)).status().code(), Code::kCorruption)
            << size;
    }
}

TEST(Hello, WithAnyByteReplacedIsReadOrRefused) {
    const Bytes whole = encoded(example());
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (unsigned other = 1; other < 256; ++other) {
            Bytes damaged = whole;
            damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ other);
            const auto read = decode_hello(damaged);
            EXPECT_TRUE(read.ok() || read.status().code() == Code::kCorruption);
            EXPECT_TRUE(at >= 3 || !read.ok()) << "another protocol";
        }
    }
}

TEST(Hello, WithTextsOverTheLimitIsRefused) {
    const auto with_name = [](std::size_t size) {
        Bytes bytes = encoded(Hello{});
        bytes.resize(bytes.size() - 2);  // two empty texts
        put_length_prefixed(bytes, Bytes(size, 'x'));
        put_length_prefixed(bytes, "");
        return decode_hello(bytes);
    };
    EXPECT_TRUE(with_name(kHelloTextMax).ok());
    EXPECT_EQ(with_name(kHelloTextMax + 1).status().code(), Code::kCorruption);
}

TEST(Hello, WithARangeThatIsNoneIsRefused) {
    Hello hello = example();
    hello.version_min = hello.version + 1;
    EXPECT_EQ(decode_hello(encoded(hello)).status().code(), Code::kCorruption);
}

TEST(ProtocolVersion, IsTheLowerOfTheTwoHighest) {
    const Hello newer = {.version = 5, .version_min = 4};
    const Hello older = {.version = 4, .version_min = 3};

    EXPECT_EQ(*agree_on_version(newer, older), 4U);
    EXPECT_EQ(*agree_on_version(older, newer), 4U);
    EXPECT_EQ(*agree_on_version(newer, newer), 5U);
}

TEST(ProtocolVersion, ThatOnlyOneSpeaksIsRefusedWithBothRanges) {
    const Hello newer = {.version = 5, .version_min = 4};
    const Hello older = {.version = 3, .version_min = 2};

    const Status refused = agree_on_version(newer, older).status();

    EXPECT_EQ(refused.code(), Code::kUnimplemented);
    EXPECT_NE(refused.message().find("4 to 5"), std::string_view::npos) << refused.message();
    EXPECT_NE(refused.message().find("2 to 3"), std::string_view::npos) << refused.message();
    EXPECT_FALSE(agree_on_version(older, newer).ok());
}

}  // namespace
}  // namespace kvstore::wire
