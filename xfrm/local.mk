# xfrm
