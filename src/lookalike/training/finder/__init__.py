"""How does the finder learn where garments are?"""
