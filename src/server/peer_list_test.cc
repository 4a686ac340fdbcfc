#include "server/peer_list.h"

#include <gtest/gtest.h>

namespace kvstore::server {
namespace {

TEST(PeerList, AnInitialClusterIsNamesAndAddresses) {
    const auto peers =
        parse_initial_cluster("n1=10.0.0.1:7070, n2=host.example:7071,n3=[::1]:7072");
    ASSERT_TRUE(peers.ok()) << peers.status().to_string();
    ASSERT_EQ(peers->size(), 3U);
    EXPECT_EQ((*peers)[0].name, "n1");
    EXPECT_EQ((*peers)[1].name, "n2");
    EXPECT_EQ((*peers)[1].address.to_string(), "host.example:7071");
    EXPECT_EQ((*peers)[2].address.port, 7072);
}

TEST(PeerList, AMistakeInTheInitialClusterIsShownWithItsPart) {
    for (const char* text : {"",
                             "n1",
                             "=10.0.0.1:1",
                             "n1=",
                             "n1=10.0.0.1",
                             "n1=10.0.0.1:0",
                             "n1=:7070",
                             "n1=10.0.0.1:70000",
                             "n1=a:1,,n2=b:1"}) {
        const auto peers = parse_initial_cluster(text);
        EXPECT_EQ(peers.status().code(), Code::kInvalidArgument) << text;
    }
    EXPECT_EQ(parse_initial_cluster("n1=a:1,n2").status().message(),
              "initial_cluster: 'n2' is not name=host:port");
}

TEST(PeerList, NoNodeAndNoAddressStandsTwice) {
    EXPECT_EQ(parse_initial_cluster("n1=a:1,n1=b:1").status().code(), Code::kInvalidArgument);
    EXPECT_EQ(parse_initial_cluster("n1=a:1,n2=a:1").status().code(), Code::kInvalidArgument);
    EXPECT_TRUE(parse_initial_cluster("n1=a:1,n2=a:2").ok());
}

TEST(PeerList, JoinIsAddresses) {
    const auto addresses = parse_join("a:1, b:2");
    ASSERT_TRUE(addresses.ok());
    EXPECT_EQ(addresses->size(), 2U);
    EXPECT_EQ(parse_join("a").status().message(), "join: 'a' is not host:port");
    EXPECT_EQ(parse_join("a:1,").status().code(), Code::kInvalidArgument);
}

TEST(PeerList, TheOlderFormMayNameItsNodes) {
    const auto addresses = parse_peers("1@a:1,b:2");
    ASSERT_TRUE(addresses.ok());
    EXPECT_EQ((*addresses)[0].to_string(), "a:1");
    EXPECT_EQ((*addresses)[1].to_string(), "b:2");
    EXPECT_EQ(parse_peers("1@").status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace kvstore::server
