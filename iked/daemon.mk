# iked
