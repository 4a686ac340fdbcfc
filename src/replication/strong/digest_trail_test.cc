#include "replication/strong/digest_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr NodeId kOne(1);
constexpr NodeId kTwo(2);
constexpr NodeId kThree(3);
const std::vector<NodeId> kVoters = {kOne, kTwo, kThree};

DigestPoint at(std::uint64_t index, std::uint64_t digest) {
    return {.index = Index(index), .digest = digest};
}

TEST(DigestTrail, KeepsTheNewestPoints) {
    DigestTrail trail;
    for (std::uint64_t i = 1; i <= DigestTrail::kPointsMax + 5; ++i) {
        trail.add(at(i * DigestTrail::kSpacing, i));
    }

    EXPECT_EQ(trail.points().size(), DigestTrail::kPointsMax);
    EXPECT_EQ(trail.points().front(), at(6 * DigestTrail::kSpacing, 6));
    EXPECT_TRUE(DigestTrail::is_kept(Index(DigestTrail::kSpacing)));
    EXPECT_FALSE(DigestTrail::is_kept(Index(DigestTrail::kSpacing + 1)));
}

TEST(DigestTrail, ComesBackAsItWasOrIsRefused) {
    const std::vector<DigestPoint> points = {at(64, 1), at(300, ~0ULL)};
    Bytes bytes;
    encode_digests(points, bytes);

    const auto read = decode_digests(bytes);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, points);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(decode_digests(ByteView(bytes).substr(0, size)).status().code(),
                  Code::kCorruption);
    }
    EXPECT_FALSE(decode_digests(bytes + "x").ok());
    EXPECT_FALSE(decode_digests("\xff\xff\xff\xff\x0f").ok());
}

TEST(JudgeDigests, FindsNothingWhereAllAgree) {
    const DigestVerdict verdict = judge_digests({{.node = kOne, .points = {at(64, 5), at(70, 9)}},
                                                 {.node = kTwo, .points = {at(64, 5)}},
                                                 {.node = kThree, .points = {at(64, 5)}}},
                                                kVoters);

    EXPECT_TRUE(verdict.is_compared);
    EXPECT_FALSE(verdict.is_undecided);
    EXPECT_THAT(verdict.odd, IsEmpty());
}

TEST(JudgeDigests, NamesWhoDiffersFromAMajority) {
    const DigestVerdict verdict = judge_digests({{.node = kThree, .points = {at(64, 5)}},
                                                 {.node = kTwo, .points = {at(64, 6)}},
                                                 {.node = kOne, .points = {at(64, 5)}}},
                                                kVoters);

    EXPECT_EQ(verdict.right, at(64, 5));
    EXPECT_THAT(verdict.odd, ElementsAre(kTwo));
    EXPECT_FALSE(verdict.is_undecided);
}

TEST(JudgeDigests, BelievesNobodyWithoutAMajority) {
    const DigestVerdict two = judge_digests(
        {{.node = kOne, .points = {at(64, 5)}}, {.node = kTwo, .points = {at(64, 6)}}}, kVoters);
    const DigestVerdict all = judge_digests({{.node = kOne, .points = {at(64, 5)}},
                                             {.node = kTwo, .points = {at(64, 6)}},
                                             {.node = kThree, .points = {at(64, 7)}}},
                                            kVoters);

    EXPECT_TRUE(two.is_undecided && all.is_undecided);
    EXPECT_THAT(two.odd, IsEmpty());
    EXPECT_THAT(all.odd, IsEmpty());
}

TEST(JudgeDigests, AnOlderPointDecidesWhereTheNewestCannot) {
    const DigestVerdict verdict = judge_digests({{.node = kOne, .points = {at(64, 5), at(128, 1)}},
                                                 {.node = kTwo, .points = {at(64, 6), at(128, 2)}},
                                                 {.node = kThree, .points = {at(64, 5)}}},
                                                kVoters);

    EXPECT_FALSE(verdict.is_undecided);
    EXPECT_EQ(verdict.right, at(64, 5));
    EXPECT_THAT(verdict.odd, ElementsAre(kTwo));
}

TEST(JudgeDigests, LearnersAreJudgedAndDoNotCount) {
    const std::vector<NodeId> voters = {kOne};
    const DigestVerdict verdict = judge_digests({{.node = kOne, .points = {at(64, 5)}},
                                                 {.node = kTwo, .points = {at(64, 6)}},
                                                 {.node = kThree, .points = {at(64, 6)}}},
                                                voters);

    EXPECT_THAT(verdict.odd, ElementsAre(kTwo, kThree));
}

TEST(JudgeDigests, NothingIsComparedWithoutACommonIndex) {
    const DigestVerdict verdict = judge_digests(
        {{.node = kOne, .points = {at(64, 5)}}, {.node = kTwo, .points = {at(128, 6)}}}, kVoters);

    EXPECT_FALSE(verdict.is_compared);
    EXPECT_FALSE(verdict.is_undecided);
}

}  // namespace
}  // namespace kvstore::replication
