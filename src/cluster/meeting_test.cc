#include "cluster/meeting.h"

#include <utility>

#include <gtest/gtest.h>

namespace kvstore::cluster {
namespace {

std::vector<Founder> founders(bool is_reversed = false) {
    std::vector<Founder> all;
    for (const char* name : {"n1", "n2", "n3"}) {
        all.push_back({.number = {},
                       .name = name,
                       .address = {.host = "10.0.0.1", .port = 7070},
                       .store = 0});
        all.back().address.port = static_cast<std::uint16_t>(7070 + all.size());
    }
    if (is_reversed) {
        std::swap(all[0], all[2]);
    }
    number_founders(all);
    return all;
}

TEST(Meeting, EveryNodeNumbersTheFoundersAlike) {
    const std::vector<Founder> one = founders();
    const std::vector<Founder> other = founders(true);
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].number, NodeId(i + 1));
        EXPECT_EQ(one[i].name, other[i].name);
        EXPECT_EQ(one[i].number, other[i].number);
    }
    EXPECT_EQ(cluster_id_for(one), cluster_id_for(other));
    EXPECT_NE(cluster_id_for(one), 0U);
}

TEST(Meeting, AnotherListIsAnotherCluster) {
    std::vector<Founder> other = founders();
    other[1].address.port = 9;
    EXPECT_NE(cluster_id_for(founders()), cluster_id_for(other));
}

TEST(Meeting, TheFoundersAreWrittenDownAndReadBack) {
    std::vector<Founder> met = founders();
    met[0].store = ~0ULL;
    met[2].address = {.host = "::1", .port = 1};
    const auto read = decode_founding(encode_founding(met));
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    ASSERT_EQ(read->size(), met.size());
    for (std::size_t i = 0; i < met.size(); ++i) {
        EXPECT_EQ((*read)[i].number, met[i].number);
        EXPECT_EQ((*read)[i].name, met[i].name);
        EXPECT_EQ((*read)[i].store, met[i].store);
        EXPECT_EQ((*read)[i].address.to_string(), met[i].address.to_string());
    }
    EXPECT_TRUE(decode_founding("")->empty());
    for (const char* text : {"x", "1", "1:2", "1:2:n", "1:2:n=", "1:x:n=a:1", "1:2:n=a:1,x"}) {
        EXPECT_EQ(decode_founding(text).status().code(), Code::kCorruption) << text;
    }
}

}  // namespace
}  // namespace kvstore::cluster
