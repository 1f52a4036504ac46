"""What is the finder's network made of, and how is it kept in a file?"""
